//! Bounds of templates and lists: each refusal names its field and its limit, and no answer outgrows a message.

use tandem_chassis::status::Fault;

use super::*;

async fn made(world: &Harness, admin: &User, message: CreateTemplateRequest) -> Result<CreateTemplateResponse, Status> {
    let request = world.as_user(admin, message);
    let made = world.templates.clone().create_template(request).await?;
    Ok(made.into_inner())
}

/// The fields that a template of this spec is refused for, with why.
async fn refused(world: &Harness, admin: &User, spec: TemplateSpec) -> Vec<(String, String)> {
    let message = CreateTemplateRequest {
        name: "t".to_owned(),
        spec: Some(spec),
        ..CreateTemplateRequest::default()
    };
    let fault = Fault::from(made(world, admin, message).await.unwrap_err());
    assert_eq!(fault.reason, "INVALID_REQUEST");
    let all = fault.violations.into_iter();
    all.map(|violation| (violation.field, violation.description)).collect()
}

fn parameter() -> TemplateParameter {
    TemplateParameter {
        name: "p".to_owned(),
        r#type: ParameterType::String.into(),
        ..TemplateParameter::default()
    }
}

fn of_parameter(change: impl FnOnce(&mut TemplateParameter)) -> TemplateSpec {
    let mut parameter = parameter();
    change(&mut parameter);
    TemplateSpec {
        parameters: vec![parameter],
        ..local_spec()
    }
}

fn of_option(option: ParameterOption) -> TemplateSpec {
    of_parameter(|parameter| parameter.options = vec![ParameterOption::default(), option])
}

fn of_preset(preset: TemplatePreset) -> TemplateSpec {
    TemplateSpec {
        parameters: vec![parameter()],
        presets: vec![preset],
        ..local_spec()
    }
}

fn of_pod(kubernetes: KubernetesSettings) -> TemplateSpec {
    TemplateSpec {
        kubernetes: Some(kubernetes),
        ..local_spec()
    }
}

#[tokio::test]
async fn every_text_of_a_spec_has_its_bound() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let long = |bytes: usize| "x".repeat(bytes + 1);
    let option = ParameterOption::default;
    let preset = || TemplatePreset {
        name: "p".to_owned(),
        ..TemplatePreset::default()
    };
    let too_long = [
        (
            of_parameter(|one| one.display_name = long(128)),
            "spec.parameters[0].display_name",
            128,
        ),
        (
            of_parameter(|one| one.description = long(4_096)),
            "spec.parameters[0].description",
            4_096,
        ),
        (
            of_parameter(|one| one.validation_regex = long(4_096)),
            "spec.parameters[0].validation_regex",
            4_096,
        ),
        (
            of_parameter(|one| one.default_value = Some(long(8_192))),
            "spec.parameters[0].default_value",
            8_192,
        ),
        (
            of_option(ParameterOption {
                name: long(128),
                ..option()
            }),
            "spec.parameters[0].options[1].name",
            128,
        ),
        (
            of_option(ParameterOption {
                value: long(8_192),
                ..option()
            }),
            "spec.parameters[0].options[1].value",
            8_192,
        ),
        (
            of_option(ParameterOption {
                description: long(4_096),
                ..option()
            }),
            "spec.parameters[0].options[1].description",
            4_096,
        ),
        (
            of_preset(TemplatePreset {
                name: long(64),
                ..preset()
            }),
            "spec.presets[0].name",
            64,
        ),
        (
            of_preset(TemplatePreset {
                description: long(4_096),
                ..preset()
            }),
            "spec.presets[0].description",
            4_096,
        ),
        (
            of_preset(TemplatePreset {
                parameters: HashMap::from([("p".to_owned(), long(8_192))]),
                ..preset()
            }),
            "spec.presets[0].parameters",
            8_192,
        ),
        (
            of_pod(KubernetesSettings {
                image: long(1_024),
                ..KubernetesSettings::default()
            }),
            "spec.kubernetes.image",
            1_024,
        ),
    ];
    for (spec, field, limit) in too_long {
        let broken = refused(&world, &admin, spec).await;
        assert_eq!(broken.len(), 1, "{broken:?}");
        assert_eq!(broken[0].0, field);
        assert!(broken[0].1.contains(&limit.to_string()), "{broken:?}");
    }
    let nul = refused(
        &world,
        &admin,
        of_option(ParameterOption {
            value: "\0".to_owned(),
            ..option()
        }),
    )
    .await;
    assert_eq!(nul[0].0, "spec.parameters[0].options[1].value");
}

#[tokio::test]
async fn a_spec_of_many_small_parts_has_a_bound_as_a_whole() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let with = |count: usize| TemplateSpec {
        parameters: (0..count)
            .map(|n| TemplateParameter {
                name: format!("p{n}"),
                default_value: Some("v".repeat(8_192)),
                ..parameter()
            })
            .collect(),
        ..local_spec()
    };
    let broken = refused(&world, &admin, with(32)).await;
    assert_eq!(broken[0].0, "spec");
    assert!(broken[0].1.contains("262144"), "{broken:?}");
    template(&world, &admin, "fits", with(30)).await;
}

#[tokio::test]
async fn what_describes_a_template_is_bounded_and_its_organization_known() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let base = || CreateTemplateRequest {
        name: "t".to_owned(),
        spec: Some(local_spec()),
        ..CreateTemplateRequest::default()
    };
    let cases = [
        (
            CreateTemplateRequest {
                display_name: "x".repeat(129),
                ..base()
            },
            "display_name",
            "128",
        ),
        (
            CreateTemplateRequest {
                description: "x".repeat(4_097),
                ..base()
            },
            "description",
            "4096",
        ),
        (
            CreateTemplateRequest {
                readme: "x".repeat(65_537),
                ..base()
            },
            "readme",
            "65536",
        ),
        (
            CreateTemplateRequest {
                icon_url: "x".repeat(2_049),
                ..base()
            },
            "icon_url",
            "2048",
        ),
        (
            CreateTemplateRequest {
                readme: "a\0b".to_owned(),
                ..base()
            },
            "readme",
            "NUL",
        ),
        (
            CreateTemplateRequest {
                organization_id: Uuid::now_v7().to_string(),
                ..base()
            },
            "organization_id",
            "organization",
        ),
    ];
    for (message, field, rule) in cases {
        let fault = Fault::from(made(&world, &admin, message).await.unwrap_err());
        assert_eq!(
            (fault.reason.as_ref(), fault.violations.len()),
            ("INVALID_REQUEST", 1),
            "{field}"
        );
        assert_eq!(fault.violations[0].field, field);
        assert!(fault.violations[0].description.contains(rule), "{:?}", fault.violations);
    }
    let known = CreateTemplateRequest {
        organization_id: admin.organization_ids[0].to_string(),
        ..base()
    };
    made(&world, &admin, known).await.unwrap();
}

#[tokio::test]
async fn pages_of_lists_have_a_size_and_a_place() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let long = "x".repeat(257);
    let cases = [
        (501, 0, "", "limit", "500"),
        (-1, 0, "", "limit", "500"),
        (1, -1, "", "offset", "negative"),
        (1, 0, long.as_str(), "q", "256"),
        (1, 0, "a\0", "q", "NUL"),
    ];
    for (limit, offset, query, field, rule) in cases {
        let message = ListTemplatesRequest {
            query: query.to_owned(),
            limit,
            offset,
            ..ListTemplatesRequest::default()
        };
        let request = world.as_user(&admin, message);
        let templates = world.templates.clone().list_templates(request).await.unwrap_err();
        let message = ListWorkspacesRequest {
            query: query.to_owned(),
            limit: if limit == 501 { 1_001 } else { limit },
            offset,
        };
        let request = world.as_user(&admin, message);
        let workspaces = world.workspaces.clone().list_workspaces(request).await.unwrap_err();
        for (refusal, rule) in [
            (templates, rule),
            (workspaces, if rule == "500" { "1000" } else { rule }),
        ] {
            let fault = Fault::from(refusal);
            assert_eq!(fault.violations[0].field, field);
            assert!(fault.violations[0].description.contains(rule), "{:?}", fault.violations);
        }
    }
}

#[tokio::test]
async fn a_page_of_large_templates_is_shorter_and_the_next_goes_on() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    // 120 of 128 KiB are more than a message of 16 MiB may hold.
    let statement = "WITH made AS (
            INSERT INTO templates (id, organization_id, name, readme, active_version_id)
            SELECT gen_random_uuid(), $1, 'large-' || n, repeat('r', 65536), gen_random_uuid() FROM generate_series(1, 120) n
            RETURNING id, active_version_id)
        INSERT INTO template_versions (id, template_id, number, backend, spec)
        SELECT active_version_id, id, 1, 'local', jsonb_build_object('startup_script', repeat('s', 65536)) FROM made";
    sqlx::query(statement)
        .bind(admin.organization_ids[0])
        .execute(&world.pool)
        .await
        .unwrap();
    let mut names = std::collections::BTreeSet::new();
    let mut pages = Vec::new();
    loop {
        let message = ListTemplatesRequest {
            query: "large".to_owned(),
            limit: 500,
            offset: i32::try_from(names.len()).unwrap(),
            ..ListTemplatesRequest::default()
        };
        let listed = world
            .templates
            .clone()
            .list_templates(world.as_user(&admin, message))
            .await;
        let listed = listed.unwrap().into_inner();
        assert_eq!(listed.total_count, 120);
        pages.push(listed.templates.len());
        names.extend(listed.templates.into_iter().map(|template| template.name));
        if names.len() == 120 {
            break;
        }
        assert!(pages.len() < 3, "{pages:?}");
    }
    assert_eq!(pages.len(), 2, "{pages:?}");
}
