//! Personal skills: their bounds, and whose they are.

use tandem_chassis::identity::User;
use tandem_proto::storage::v1::*;
use tonic::{Response, Status};

use crate::harness::{Harness, reason};

async fn put(world: &Harness, user: &User, name: &str, body: &str, mode: PutMode) -> Result<bool, Status> {
    let message = PutPersonalSkillRequest {
        name: name.to_owned(),
        description: "D".to_owned(),
        body: body.to_owned(),
        mode: mode.into(),
        ..PutPersonalSkillRequest::default()
    };
    let put = world
        .skills
        .clone()
        .put_personal_skill(world.as_user(user, message))
        .await?;
    Ok(put.into_inner().is_created)
}

async fn list(world: &Harness, user: &User) -> Vec<PersonalSkill> {
    let request = world.as_user(user, ListPersonalSkillsRequest {});
    world
        .skills
        .clone()
        .list_personal_skills(request)
        .await
        .unwrap()
        .into_inner()
        .skills
}

async fn get(world: &Harness, user: &User, name: &str) -> Result<PersonalSkill, Status> {
    let message = GetPersonalSkillRequest { name: name.to_owned() };
    let got = world
        .skills
        .clone()
        .get_personal_skill(world.as_user(user, message))
        .await;
    got.map(Response::into_inner).map(|got| got.skill.unwrap())
}

#[tokio::test]
async fn a_skill_is_made_replaced_and_deleted_by_its_owner_alone() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mia = world.member(&admin, "mia").await;
    assert_eq!(
        reason(put(&world, &mia, "notes", "B", PutMode::Update).await),
        "SKILL_NOT_FOUND"
    );
    assert!(put(&world, &mia, "notes", "One", PutMode::Create).await.unwrap());
    assert_eq!(
        reason(put(&world, &mia, "notes", "B", PutMode::Create).await),
        "SKILL_EXISTS"
    );
    assert!(!put(&world, &mia, "notes", "Two", PutMode::Unspecified).await.unwrap());
    put(&world, &mia, "alpha", "A", PutMode::Create).await.unwrap();
    let listed = list(&world, &mia).await;
    let names: Vec<_> = listed
        .iter()
        .map(|skill| (skill.name.as_str(), skill.body.as_str()))
        .collect();
    assert_eq!(names, [("alpha", ""), ("notes", "")]);
    assert_eq!(get(&world, &mia, "notes").await.unwrap().body, "Two");

    assert!(list(&world, &admin).await.is_empty());
    assert_eq!(reason(get(&world, &admin, "notes").await), "SKILL_NOT_FOUND");
    let delete = |user: &User| {
        let name = "notes".to_owned();
        let request = world.as_user(user, DeletePersonalSkillRequest { name });
        let mut skills = world.skills.clone();
        async move { skills.delete_personal_skill(request).await }
    };
    assert_eq!(reason(delete(&admin).await), "SKILL_NOT_FOUND");
    delete(&mia).await.unwrap();
    assert_eq!(reason(delete(&mia).await), "SKILL_NOT_FOUND");
}

#[tokio::test]
async fn bounds_are_kept_also_by_two_at_once() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let long = "x".repeat(64 * 1024 + 1);
    for (name, body) in [
        ("Bad", "B"),
        ("a--b", "B"),
        ("../a", "B"),
        ("a", " "),
        ("a", "a\0b"),
        ("a", long.as_str()),
    ] {
        let refused = put(&world, &admin, name, body, PutMode::Unspecified).await;
        assert_eq!(reason(refused), "INVALID_SKILL", "{name}");
    }
    put(&world, &admin, "largest", &long[1..], PutMode::Create)
        .await
        .unwrap();
    for n in 1..99 {
        put(&world, &admin, &format!("s{n}"), "B", PutMode::Create)
            .await
            .unwrap();
    }
    let last = |name: &'static str| put(&world, &admin, name, "B", PutMode::Create);
    let (one, other) = tokio::join!(last("one"), last("other"));
    let refused = [one, other].into_iter().find_map(Result::err).unwrap();
    assert_eq!(reason(Err::<(), _>(refused)), "TOO_MANY_SKILLS");
    assert_eq!(list(&world, &admin).await.len(), 100);
    put(&world, &admin, "largest", "B", PutMode::Unspecified).await.unwrap();
}

#[tokio::test]
async fn two_changes_of_one_skill_at_once_both_count() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    put(&world, &admin, "notes", "B", PutMode::Create).await.unwrap();
    let change = async |message: PutPersonalSkillRequest| {
        let message = PutPersonalSkillRequest {
            name: "notes".to_owned(),
            mode: PutMode::Update.into(),
            ..message
        };
        let request = world.as_user(&admin, message);
        world.skills.clone().put_personal_skill(request).await
    };
    let described = |round: u32| PutPersonalSkillRequest {
        description: format!("D{round}"),
        is_body_kept: true,
        ..PutPersonalSkillRequest::default()
    };
    let rewritten = |round: u32| PutPersonalSkillRequest {
        body: format!("B{round}"),
        is_description_kept: true,
        ..PutPersonalSkillRequest::default()
    };
    for round in 0..20 {
        let (first, second) = tokio::join!(change(described(round)), change(rewritten(round)));
        first.unwrap();
        second.unwrap();
        let now = get(&world, &admin, "notes").await.unwrap();
        assert_eq!((now.description, now.body), (format!("D{round}"), format!("B{round}")));
    }
    // What is kept is not looked at, and a replacement keeps nothing.
    let empty = PutPersonalSkillRequest {
        name: "notes".to_owned(),
        is_body_kept: true,
        ..PutPersonalSkillRequest::default()
    };
    let refused = world
        .skills
        .clone()
        .put_personal_skill(world.as_user(&admin, empty))
        .await;
    assert_eq!(reason(refused), "INVALID_SKILL");
    let missing = PutPersonalSkillRequest {
        name: "other".to_owned(),
        mode: PutMode::Update.into(),
        is_body_kept: true,
        is_description_kept: true,
        ..PutPersonalSkillRequest::default()
    };
    let refused = world
        .skills
        .clone()
        .put_personal_skill(world.as_user(&admin, missing))
        .await;
    assert_eq!(reason(refused), "SKILL_NOT_FOUND");
}
