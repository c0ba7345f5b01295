//! Templates: who sees and who writes them, versions, the allow list.

use super::*;

async fn find(world: &Harness, user: &User, id: &str, chat: &str) -> Result<Template, Status> {
    let message = GetTemplateRequest {
        template_id: id.to_owned(),
        chat_id: chat.to_owned(),
    };
    let found = world
        .templates
        .clone()
        .get_template(world.as_user(user, message))
        .await?;
    Ok(found.into_inner().template.unwrap())
}

async fn names(world: &Harness, user: &User, chat: &str) -> Vec<String> {
    let message = ListTemplatesRequest {
        chat_id: chat.to_owned(),
        ..ListTemplatesRequest::default()
    };
    let listed = world
        .templates
        .clone()
        .list_templates(world.as_user(user, message))
        .await;
    let mut names: Vec<String> = listed
        .unwrap()
        .into_inner()
        .templates
        .into_iter()
        .map(|template| template.name)
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn members_read_and_administrators_write() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mia = world.member(&admin, "mia").await;
    let rust = template(&world, &admin, "rust", local_spec()).await;
    assert_eq!(find(&world, &mia, &rust.id, "").await.unwrap().name, "rust");
    let stranger = User {
        id: Uuid::now_v7(),
        is_admin: false,
        organization_ids: Vec::new(),
    };
    assert_eq!(
        reason(find(&world, &stranger, &rust.id, "").await),
        "TEMPLATE_NOT_FOUND"
    );
    assert_eq!(names(&world, &stranger, "").await, Vec::<String>::new());
    let message = CreateTemplateRequest {
        name: "mine".to_owned(),
        spec: Some(local_spec()),
        ..CreateTemplateRequest::default()
    };
    let refused = world
        .templates
        .clone()
        .create_template(world.as_user(&mia, message))
        .await;
    assert!(refused.is_err());
    assert_eq!(names(&world, &mia, "").await, ["local", "rust"]);
}

#[tokio::test]
async fn another_spec_is_another_version_and_workspaces_keep_theirs() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let rust = template(&world, &admin, "rust", local_spec()).await;
    let workspace = create(&world, &admin, of(&rust)).await.unwrap();
    let update = async |spec: TemplateSpec| {
        let message = UpdateTemplateRequest {
            template_id: rust.id.clone(),
            spec: Some(spec),
            ..UpdateTemplateRequest::default()
        };
        let updated = world
            .templates
            .clone()
            .update_template(world.as_user(&admin, message))
            .await;
        updated.map(|updated| updated.into_inner().template.unwrap())
    };
    let same = update(local_spec()).await.unwrap();
    assert_eq!(same.active_version_id, rust.active_version_id);
    let changed = update(TemplateSpec {
        startup_script: "true".to_owned(),
        ..local_spec()
    })
    .await
    .unwrap();
    assert_eq!(changed.active_version_number, 2);
    let kept = seen(&world, &admin, &workspace).await.unwrap();
    assert_eq!(kept.template_version_id, rust.active_version_id);
    let external = TemplateSpec {
        backend: TemplateBackend::External.into(),
        ..TemplateSpec::default()
    };
    assert_eq!(reason(update(external).await), "INVALID_REQUEST");
}

#[tokio::test]
async fn the_built_in_template_stays() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let chat = running_chat(&world, &admin).await;
    ensure(&world, &admin, &chat).await.unwrap();
    let message = ListTemplatesRequest::default();
    let listed = world
        .templates
        .clone()
        .list_templates(world.as_user(&admin, message))
        .await
        .unwrap();
    let local = listed.into_inner().templates.remove(0);
    assert!(local.is_builtin);
    let delete = DeleteTemplateRequest {
        template_id: local.id.clone(),
    };
    let refused = world
        .templates
        .clone()
        .delete_template(world.as_user(&admin, delete))
        .await;
    assert_eq!(reason(refused), "TEMPLATE_BUILT_IN");
    let taken = CreateTemplateRequest {
        name: "local".to_owned(),
        spec: Some(local_spec()),
        ..CreateTemplateRequest::default()
    };
    let refused = world
        .templates
        .clone()
        .create_template(world.as_user(&admin, taken))
        .await;
    assert_eq!(reason(refused), "TEMPLATE_NAME_TAKEN");
}

#[tokio::test]
async fn agents_use_what_the_allow_list_names_and_people_everything() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let chat = running_chat(&world, &admin).await;
    let (rust, go) = (
        template(&world, &admin, "rust", local_spec()).await,
        template(&world, &admin, "go", local_spec()).await,
    );
    assert_eq!(names(&world, &admin, &chat).await, ["go", "local", "rust"]);
    let allow = async |ids: Vec<String>| {
        let message = SetTemplateAllowlistRequest { template_ids: ids };
        world
            .templates
            .clone()
            .set_template_allowlist(world.as_user(&admin, message))
            .await
    };
    assert_eq!(reason(allow(vec![Uuid::now_v7().to_string()]).await), "INVALID_REQUEST");
    allow(vec![rust.id.clone(), rust.id.to_uppercase()]).await.unwrap();
    assert_eq!(names(&world, &admin, &chat).await, ["rust"]);
    assert_eq!(reason(find(&world, &admin, &go.id, &chat).await), "TEMPLATE_NOT_FOUND");
    let for_chat = CreateWorkspaceRequest {
        chat_id: chat.clone(),
        ..of(&go)
    };
    assert_eq!(reason(create(&world, &admin, for_chat).await), "TEMPLATE_NOT_FOUND");
    create(&world, &admin, of(&go)).await.expect("people may use all");
    let made = create(
        &world,
        &admin,
        CreateWorkspaceRequest {
            chat_id: chat.clone(),
            ..of(&rust)
        },
    )
    .await
    .unwrap();
    assert_eq!(
        ensure(&world, &admin, &chat).await.unwrap().workspace.unwrap().id,
        made.id
    );
    allow(Vec::new()).await.unwrap();
    assert_eq!(names(&world, &admin, &chat).await, ["go", "local", "rust"]);
}

#[tokio::test]
async fn models_cannot_make_workspaces_on_users_hosts() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let chat = running_chat(&world, &admin).await;
    let spec = TemplateSpec {
        backend: TemplateBackend::External.into(),
        ..TemplateSpec::default()
    };
    let host = template(&world, &admin, "host", spec).await;
    let refused = create(
        &world,
        &admin,
        CreateWorkspaceRequest {
            chat_id: chat,
            ..of(&host)
        },
    )
    .await;
    assert_eq!(reason(refused), "TEMPLATE_EXTERNAL");
}

#[tokio::test]
async fn a_spec_is_refused_with_every_field_that_is_wrong() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let parameter = |name: &str| TemplateParameter {
        name: name.to_owned(),
        r#type: ParameterType::String.into(),
        ..TemplateParameter::default()
    };
    let spec = TemplateSpec {
        backend: TemplateBackend::Kubernetes.into(),
        environment: HashMap::from([("TANDEM_SECRET".to_owned(), "x".to_owned())]),
        parameters: vec![
            parameter("Bad Name"),
            TemplateParameter {
                validation_regex: "(".to_owned(),
                ..parameter("b")
            },
        ],
        default_ttl_ms: 5,
        ..TemplateSpec::default()
    };
    let message = CreateTemplateRequest {
        name: "pod".to_owned(),
        spec: Some(spec),
        ..CreateTemplateRequest::default()
    };
    let refused = world
        .templates
        .clone()
        .create_template(world.as_user(&admin, message))
        .await;
    let fault = tandem_chassis::status::Fault::from(refused.unwrap_err());
    let fields: Vec<&str> = fault
        .violations
        .iter()
        .map(|violation| violation.field.as_str())
        .collect();
    let all = [
        "spec.environment",
        "spec.default_ttl_ms",
        "spec.kubernetes.image",
        "spec.parameters[0].name",
        "spec.parameters[1].validation_regex",
    ];
    assert_eq!(fields, all);
}
