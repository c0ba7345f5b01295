//! Templates that require their active version: starts take workspaces there, and nobody is left with one that can never start.

use super::*;
use crate::stage::waiters;

fn text(name: &str, is_required: bool) -> TemplateParameter {
    TemplateParameter {
        name: name.to_owned(),
        r#type: ParameterType::String.into(),
        is_required,
        ..TemplateParameter::default()
    }
}

fn with(parameters: Vec<TemplateParameter>, script: &str) -> TemplateSpec {
    TemplateSpec {
        parameters,
        startup_script: script.to_owned(),
        ..local_spec()
    }
}

async fn change(world: &Harness, admin: &User, message: UpdateTemplateRequest) -> Template {
    let request = world.as_user(admin, message);
    let updated = world.templates.clone().update_template(request).await.unwrap();
    updated.into_inner().template.unwrap()
}

async fn publish(world: &Harness, admin: &User, template: &Template, spec: TemplateSpec) -> Template {
    let message = UpdateTemplateRequest {
        template_id: template.id.clone(),
        spec: Some(spec),
        ..UpdateTemplateRequest::default()
    };
    change(world, admin, message).await
}

async fn require(world: &Harness, admin: &User, template: &Template, is_required: bool) -> Template {
    let message = UpdateTemplateRequest {
        template_id: template.id.clone(),
        requires_active_version: Some(is_required),
        ..UpdateTemplateRequest::default()
    };
    change(world, admin, message).await
}

async fn start(
    world: &Harness,
    user: &User,
    workspace: &Workspace,
    parameters: &[(&str, &str)],
) -> Result<CreateWorkspaceBuildResponse, Status> {
    let given = parameters
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let message = CreateWorkspaceBuildRequest {
        workspace_id: workspace.id.clone(),
        transition: WorkspaceTransition::Start.into(),
        parameters: given.collect(),
        ..CreateWorkspaceBuildRequest::default()
    };
    let request = world.by(ToolRunner, user, message);
    let begun = world.workspaces.clone().create_workspace_build(request).await?;
    Ok(begun.into_inner())
}

/// A template, and a stopped workspace of its first version.
async fn stopped(world: &Harness, admin: &User, spec: TemplateSpec, values: &[(&str, &str)]) -> (Template, Workspace) {
    let rust = template(world, admin, "rust", spec).await;
    let given = values
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let message = CreateWorkspaceRequest {
        parameters: given.collect(),
        ..of(&rust)
    };
    let workspace = create(world, admin, message).await.unwrap();
    succeed(world).await;
    build(world, admin, &workspace, WorkspaceTransition::Stop)
        .await
        .unwrap();
    (rust, succeed(world).await)
}

#[tokio::test]
async fn a_start_takes_the_active_version_only_where_that_is_required() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let (rust, workspace) = stopped(&world, &admin, with(vec![], "one"), &[]).await;
    let second = publish(&world, &admin, &rust, with(vec![], "two")).await;
    assert!(!second.requires_active_version);
    let begun = start(&world, &admin, &workspace, &[]).await.unwrap();
    assert!(!begun.is_updated);
    assert_eq!(begun.workspace.unwrap().template_version_id, rust.active_version_id);
    succeed(&world).await;

    let second = require(&world, &admin, &rust, true).await;
    assert!(second.requires_active_version);
    assert_eq!(second.active_version_number, 2, "it is no other version for that");
    let running = start(&world, &admin, &workspace, &[]).await.unwrap();
    assert!(running.is_unchanged && !running.is_updated, "what runs goes on");
    build(&world, &admin, &workspace, WorkspaceTransition::Stop)
        .await
        .unwrap();
    let stop = succeed(&world).await;
    assert_eq!(
        stop.template_version_id, rust.active_version_id,
        "a stop needs no version"
    );
    let begun = start(&world, &admin, &workspace, &[]).await.unwrap();
    assert!(begun.is_updated && !begun.is_unchanged);
    assert_eq!(begun.workspace.unwrap().template_version_id, second.active_version_id);
    let claimed = claim(&world, Uuid::now_v7()).await;
    assert_eq!(
        claimed.spec.unwrap().startup_script,
        "two",
        "the build runs what it was made for"
    );
}

#[tokio::test]
async fn a_version_that_needs_a_new_value_says_so_and_starts_with_one() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let first = with(vec![text("repo", true), text("gone", false)], "");
    let (rust, workspace) = stopped(&world, &admin, first, &[("repo", "tandem"), ("gone", "x")]).await;
    require(&world, &admin, &rust, true).await;
    let second = publish(
        &world,
        &admin,
        &rust,
        with(vec![text("repo", true), text("region", true)], ""),
    )
    .await;
    for given in [&[][..], &[("gone", "y")], &[("region", "eu"), ("repo", "other")]] {
        let refused = start(&world, &admin, &workspace, given).await;
        assert_eq!(reason(refused), "INVALID_REQUEST", "{given:?}");
    }
    let fault = tandem_chassis::status::Fault::from(start(&world, &admin, &workspace, &[]).await.unwrap_err());
    assert!(
        fault.message.contains("active version") && fault.message.contains("parameters.region is required"),
        "{}",
        fault.message
    );
    assert_eq!(fault.violations[0].field, "parameters.region");
    let still = seen(&world, &admin, &workspace).await.unwrap();
    assert_eq!(
        (still.status(), &still.template_version_id),
        (WorkspaceStatus::Stopped, &rust.active_version_id)
    );
    let begun = start(&world, &admin, &workspace, &[("region", "eu")]).await.unwrap();
    let updated = begun.workspace.unwrap();
    assert_eq!(updated.template_version_id, second.active_version_id);
    let expected = [("repo", "tandem"), ("region", "eu")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(updated.parameters, HashMap::from(expected));
}

#[tokio::test]
async fn a_start_beside_a_new_version_ends_with_that_version_and_no_more_builds() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let (rust, workspace) = stopped(&world, &admin, with(vec![], "one"), &[]).await;
    require(&world, &admin, &rust, true).await;
    // Whoever publishes holds the template, and the start comes meanwhile.
    let mut publishing = world.pool.begin().await.unwrap();
    let id: Uuid = rust.id.parse().unwrap();
    let version = Uuid::now_v7();
    sqlx::query("SELECT FROM templates WHERE id = $1 FOR UPDATE")
        .bind(id)
        .execute(&mut *publishing)
        .await
        .unwrap();
    let (begun, ()) = tokio::join!(start(&world, &admin, &workspace, &[]), async {
        waiters(&world.pool, 1).await;
        for statement in [
            "INSERT INTO template_versions (id, template_id, number, backend, spec) VALUES ($1, $2, 2, 'local', '{}')",
            "UPDATE templates SET active_version_id = $1 WHERE id = $2",
        ] {
            sqlx::query(statement)
                .bind(version)
                .bind(id)
                .execute(&mut *publishing)
                .await
                .unwrap();
        }
        publishing.commit().await.unwrap();
    });
    let begun = begun.unwrap();
    assert!(begun.is_updated);
    assert_eq!(begun.workspace.unwrap().template_version_id, version.to_string());
    let up = succeed(&world).await;
    assert_eq!(up.status(), WorkspaceStatus::Running);
    // The loop: the model starts again what it believes to be outdated.
    for _ in 0..3 {
        assert!(start(&world, &admin, &workspace, &[]).await.unwrap().is_unchanged);
    }
    let number = seen(&world, &admin, &workspace)
        .await
        .unwrap()
        .latest_build
        .unwrap()
        .number;
    assert_eq!(number, 3, "a start, a stop, and this start");
}

#[tokio::test]
async fn workspaces_of_a_deleted_template_start_as_they_are() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let (rust, workspace) = stopped(&world, &admin, with(vec![], "one"), &[]).await;
    require(&world, &admin, &rust, true).await;
    publish(&world, &admin, &rust, with(vec![text("region", true)], "")).await;
    let message = DeleteTemplateRequest {
        template_id: rust.id.clone(),
    };
    let request = world.as_user(&admin, message);
    world.templates.clone().delete_template(request).await.unwrap();
    let begun = start(&world, &admin, &workspace, &[]).await.unwrap();
    assert!(!begun.is_updated && !begun.is_unchanged);
}
