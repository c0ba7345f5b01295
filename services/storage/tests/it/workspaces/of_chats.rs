//! Workspaces that models make: a chat has one, for as long as it is of use.

use super::*;

async fn ask(world: &Harness, user: &User, chat: &str, template: &Template) -> (Workspace, bool) {
    let message = CreateWorkspaceRequest {
        chat_id: chat.to_owned(),
        ..of(template)
    };
    let request = world.by(ToolRunner, user, message);
    let answer = world.workspaces.clone().create_workspace(request).await.unwrap();
    let answer = answer.into_inner();
    (answer.workspace.unwrap(), answer.is_existing)
}

/// Ends the next build badly.
async fn fail(world: &Harness) -> Workspace {
    let runner = Uuid::now_v7();
    let claimed = claim(world, runner).await.build.unwrap();
    finish(world, end(&claimed, runner, BuildStatus::Failed)).await.unwrap()
}

#[tokio::test]
async fn of_many_calls_at_once_one_makes_a_chats_workspace() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let chat = running_chat(&world, &admin).await;
    let rust = template(&world, &admin, "rust", local_spec()).await;
    let calls = (0..6).map(|_| ask(&world, &admin, &chat, &rust));
    let answers = futures::future::join_all(calls).await;
    let made: Vec<&Workspace> = answers
        .iter()
        .filter(|(_, is_existing)| !is_existing)
        .map(|(made, _)| made)
        .collect();
    assert_eq!(made.len(), 1);
    for (workspace, _) in &answers {
        assert_eq!(workspace.id, made[0].id);
        let build = workspace.latest_build.as_ref().expect("its build can be waited for");
        assert_eq!(build.number, 1);
    }
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM workspaces")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    assert_eq!(count, 1);
}

#[tokio::test]
async fn a_chats_workspace_is_kept_while_it_is_of_use() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let chat = running_chat(&world, &admin).await;
    let rust = template(&world, &admin, "rust", local_spec()).await;
    let (first, _) = ask(&world, &admin, &chat, &rust).await;
    succeed(&world).await;
    let again = ask(&world, &admin, &chat, &rust).await;
    assert_eq!((&again.0.id, again.1), (&first.id, true));
    build(&world, &admin, &first, WorkspaceTransition::Stop).await.unwrap();
    let stopped = succeed(&world).await;
    assert_eq!(stopped.status(), WorkspaceStatus::Stopped);
    let again = ask(&world, &admin, &chat, &rust).await;
    assert_eq!((again.0.status(), again.1), (WorkspaceStatus::Stopped, true));
    // One whose start failed is in nobody's way.
    build(&world, &admin, &first, WorkspaceTransition::Start).await.unwrap();
    fail(&world).await;
    let (second, is_existing) = ask(&world, &admin, &chat, &rust).await;
    assert!(second.id != first.id && !is_existing);
    succeed(&world).await;
    // Nor is one that is being deleted.
    build(&world, &admin, &second, WorkspaceTransition::Delete)
        .await
        .unwrap();
    let (third, is_existing) = ask(&world, &admin, &chat, &rust).await;
    assert!(third.id != second.id && !is_existing);
    let bound = ensure(&world, &admin, &chat).await.unwrap();
    assert_eq!(bound.workspace.unwrap().id, third.id);
}

#[tokio::test]
async fn a_host_that_is_away_is_replaced_and_one_that_is_there_is_not() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let chat = running_chat(&world, &admin).await;
    let spec = TemplateSpec {
        backend: TemplateBackend::External.into(),
        ..TemplateSpec::default()
    };
    let host = template(&world, &admin, "host", spec).await;
    let rust = template(&world, &admin, "rust", local_spec()).await;
    let hosts = create(&world, &admin, of(&host)).await.unwrap();
    succeed(&world).await;
    sqlx::query("UPDATE chats SET workspace_id = $1")
        .bind(hosts.id.parse::<Uuid>().unwrap())
        .execute(&world.pool)
        .await
        .unwrap();
    agent(&world, &hosts, AgentChange::Connected).await;
    let kept = ask(&world, &admin, &chat, &rust).await;
    assert_eq!((&kept.0.id, kept.1), (&hosts.id, true));
    agent(&world, &hosts, AgentChange::Disconnected).await;
    let (made, is_existing) = ask(&world, &admin, &chat, &rust).await;
    assert!(made.id != hosts.id && !is_existing);
}
