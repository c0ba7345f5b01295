//! What people attach, and who reads it.

use tandem_chassis::identity::User;
use tandem_proto::storage::v1::{CreateFileRequest, GetFileRequest};

use crate::harness::{Harness, reason};

fn file(user: &User, data: Vec<u8>) -> CreateFileRequest {
    let organization_id = user.organization_ids[0].to_string();
    CreateFileRequest {
        organization_id,
        name: "a.png".to_owned(),
        media_type: "image/png".to_owned(),
        data,
    }
}

#[tokio::test]
async fn a_file_comes_back_whole_to_its_owner_and_to_nobody_else() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let (mia, ben) = (world.member(&admin, "mia").await, world.member(&admin, "ben").await);
    let mut files = world.files.clone();
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let stored = files
        .create_file(world.as_user(&mia, file(&mia, bytes.clone())))
        .await
        .unwrap()
        .into_inner();
    let stored = stored.file.unwrap();
    assert_eq!(stored.size_bytes, 100_000);
    let get = GetFileRequest {
        file_id: stored.id,
        chat_id: String::new(),
    };
    let got = files
        .get_file(world.as_user(&mia, get.clone()))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(got.data, bytes);
    for other in [&ben, &admin] {
        assert_eq!(
            reason(files.get_file(world.as_user(other, get.clone())).await),
            "FILE_NOT_FOUND"
        );
    }
}

#[tokio::test]
async fn files_have_a_name_and_an_organization_of_their_owners() {
    let world = Harness::start().await;
    let admin = world.bootstrap().await;
    let mia = world.member(&admin, "mia").await;
    let mut files = world.files.clone();
    let nameless = CreateFileRequest {
        name: String::new(),
        ..file(&mia, vec![1])
    };
    assert_eq!(
        reason(files.create_file(world.as_user(&mia, nameless)).await),
        "INVALID_REQUEST"
    );
    let broken = CreateFileRequest {
        name: "a\0b".to_owned(),
        ..file(&mia, vec![1])
    };
    assert_eq!(
        reason(files.create_file(world.as_user(&mia, broken)).await),
        "INVALID_TEXT"
    );
    let stranger = User {
        organization_ids: Vec::new(),
        ..mia.clone()
    };
    assert_eq!(
        reason(files.create_file(world.as_user(&stranger, file(&mia, vec![1]))).await),
        "NOT_A_MEMBER"
    );
}
