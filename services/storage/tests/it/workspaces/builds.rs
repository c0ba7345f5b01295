//! Builds and their leases.

use super::*;

#[tokio::test]
async fn a_build_is_run_by_one_and_by_another_when_its_lease_is_over() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let rust = template(&world, &admin, "rust", local_spec()).await;
    let workspace = create(&world, &admin, of(&rust)).await.unwrap();
    let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
    let first = claim(&world, one).await.build.unwrap();
    assert_eq!((first.attempt, first.transition()), (1, WorkspaceTransition::Start));
    assert!(claim(&world, two).await.build.is_none(), "it is held");
    let renew = async |build: &WorkspaceBuild, runner: Uuid| {
        let message = RenewWorkspaceBuildRequest {
            build_id: build.id.clone(),
            runner_id: runner.to_string(),
            attempt: build.attempt,
            log: "so far\n".to_owned(),
        };
        world
            .workspaces
            .clone()
            .renew_workspace_build(world.of(ToolRunner, message))
            .await
    };
    renew(&first, one).await.unwrap();
    // Its runner has crashed.
    sqlx::query("UPDATE workspace_builds SET lease_expires_at = now() - interval '1 second'")
        .execute(&world.pool)
        .await
        .unwrap();
    let second = claim(&world, two).await.build.unwrap();
    assert_eq!((&second.id, second.attempt), (&first.id, 2));
    assert_eq!(reason(renew(&first, one).await), "STALE_BUILD");
    let late = finish(&world, end(&first, one, BuildStatus::Failed)).await;
    assert_eq!(reason(late), "STALE_BUILD");
    let up = finish(&world, end(&second, two, BuildStatus::Succeeded)).await.unwrap();
    assert_eq!(up.status(), WorkspaceStatus::Running);
    let again = finish(&world, end(&second, two, BuildStatus::Succeeded)).await;
    assert_eq!(reason(again), "STALE_BUILD", "an end is one end");
    let listed = ListWorkspaceBuildsRequest {
        workspace_id: workspace.id.clone(),
        limit: 0,
    };
    let listed = world
        .workspaces
        .clone()
        .list_workspace_builds(world.as_user(&admin, listed))
        .await;
    let builds = listed.unwrap().into_inner().builds;
    assert_eq!((builds.len(), builds[0].log.as_str()), (1, "done\n"));
}

#[tokio::test]
async fn many_claims_at_once_give_every_build_to_one() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let rust = template(&world, &admin, "rust", local_spec()).await;
    for _ in 0..4 {
        create(&world, &admin, of(&rust)).await.unwrap();
    }
    let claims = (0..12).map(|_| claim(&world, Uuid::now_v7()));
    let claimed = futures::future::join_all(claims).await;
    let mut ids: Vec<String> = claimed
        .into_iter()
        .filter_map(|claimed| Some(claimed.build?.id))
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn what_is_so_already_needs_no_build_and_two_at_once_are_refused() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let rust = template(&world, &admin, "rust", local_spec()).await;
    let workspace = create(&world, &admin, of(&rust)).await.unwrap();
    let busy = build(&world, &admin, &workspace, WorkspaceTransition::Stop).await;
    assert_eq!(reason(busy), "BUILD_IN_PROGRESS");
    succeed(&world).await;
    let start = build(&world, &admin, &workspace, WorkspaceTransition::Start)
        .await
        .unwrap();
    assert!(start.is_unchanged);
    let stop = build(&world, &admin, &workspace, WorkspaceTransition::Stop)
        .await
        .unwrap();
    assert_eq!(stop.workspace.unwrap().status(), WorkspaceStatus::Stopping);
    assert_eq!(succeed(&world).await.status(), WorkspaceStatus::Stopped);
    let again = build(&world, &admin, &workspace, WorkspaceTransition::Stop)
        .await
        .unwrap();
    assert!(again.is_unchanged);
}

#[tokio::test]
async fn a_failed_build_says_why_and_may_be_tried_again() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let rust = template(&world, &admin, "rust", local_spec()).await;
    let workspace = create(&world, &admin, of(&rust)).await.unwrap();
    let runner = Uuid::now_v7();
    let claimed = claim(&world, runner).await.build.unwrap();
    let message = FinishWorkspaceBuildRequest {
        error: "The disk is full.".to_owned(),
        ..end(&claimed, runner, BuildStatus::Failed)
    };
    let failed = finish(&world, message).await.unwrap();
    assert_eq!(failed.status(), WorkspaceStatus::Failed);
    assert_eq!(failed.status_message, "The disk is full.");
    let again = build(&world, &admin, &workspace, WorkspaceTransition::Start)
        .await
        .unwrap();
    assert!(!again.is_unchanged);
    let up = succeed(&world).await;
    assert_eq!(
        (up.status(), up.status_message.as_str()),
        (WorkspaceStatus::Running, "")
    );
    assert_eq!(up.latest_build.unwrap().number, 2);
}
