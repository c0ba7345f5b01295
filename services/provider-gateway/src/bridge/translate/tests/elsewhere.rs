//! Files that a program names by their address: told to vendors that fetch them, refused by name at the others.

use super::*;

const PICTURE: &str = "https://a.example/x.png?size=1";
const DOCUMENT: &str = "https://a.example/x.pdf";

/// A user's message with that piece, or with one for each dialect.
fn body(dialect: Dialect, piece: &Value) -> Value {
    let said = json!([{"role": "user", "content": [{"type": "text", "text": "Look."}, piece]}]);
    match dialect {
        Dialect::Responses => {
            let said = json!([{"role": "user", "content": [{"type": "input_text", "text": "Look."}, piece]}]);
            json!({"model": "m", "input": said})
        }
        Dialect::ChatCompletions | Dialect::Messages => json!({"model": "m", "messages": said}),
    }
}

fn picture(dialect: Dialect) -> Value {
    match dialect {
        Dialect::ChatCompletions => json!({"type": "image_url", "image_url": {"url": PICTURE}}),
        Dialect::Responses => json!({"type": "input_image", "image_url": PICTURE}),
        Dialect::Messages => json!({"type": "image", "source": {"type": "url", "url": PICTURE}}),
    }
}

/// Chat Completions has none.
fn document(dialect: Dialect) -> Value {
    match dialect {
        Dialect::ChatCompletions | Dialect::Responses => json!({"type": "input_file", "file_url": DOCUMENT}),
        Dialect::Messages => {
            json!({"type": "document", "title": "T", "source": {"type": "url", "url": DOCUMENT}})
        }
    }
}

/// What a vendor is sent in the place of a piece.
fn told(from: Dialect, piece: &Value, to: Dialect) -> Result<Value, Refused> {
    let asked = understood(from, &body(from, piece));
    let model = model(to, json!({}));
    asked.options(&model)?;
    let written = vendor_side::written(protocol(to), &request(asked.messages, Vec::new()), &model).unwrap();
    let last = match to {
        Dialect::Responses => &written["input"],
        Dialect::ChatCompletions | Dialect::Messages => &written["messages"],
    };
    let last = last.as_array().unwrap().last().unwrap()["content"].as_array().unwrap();
    let mut last = last.last().unwrap().clone();
    last.as_object_mut().unwrap().remove("cache_control");
    Ok(last)
}

#[test]
fn a_picture_is_told_by_its_address_in_every_dialect() {
    for from in Dialect::ALL {
        for (to, expected) in [
            (
                Dialect::ChatCompletions,
                json!({"type": "image_url", "image_url": {"url": PICTURE}}),
            ),
            (
                Dialect::Responses,
                json!({"type": "input_image", "image_url": PICTURE, "detail": "auto"}),
            ),
            (
                Dialect::Messages,
                json!({"type": "image", "source": {"type": "url", "url": PICTURE}}),
            ),
        ] {
            assert_eq!(told(from, &picture(from), to), Ok(expected), "{from:?} to {to:?}");
        }
    }
}

#[test]
fn a_document_is_told_where_there_is_a_word_for_it() {
    for from in [Dialect::Responses, Dialect::Messages] {
        for (to, expected) in [
            (Dialect::Responses, json!({"type": "input_file", "file_url": DOCUMENT})),
            (
                Dialect::Messages,
                json!({"type": "document", "source": {"type": "url", "url": DOCUMENT}}),
            ),
        ] {
            assert_eq!(told(from, &document(from), to), Ok(expected), "{from:?} to {to:?}");
        }
        let refused = told(from, &document(from), Dialect::ChatCompletions).unwrap_err();
        assert!(refused.field.contains("content[1]"), "{refused}");
    }
}

#[test]
fn vendors_that_fetch_nothing_are_told_nothing() {
    for kind in [Kind::Google, Kind::Bedrock, Kind::Demo] {
        for from in Dialect::ALL {
            let asked = understood(from, &body(from, &picture(from)));
            let refused = asked.options(&vendor_side::model(kind, json!({}))).unwrap_err();
            assert!(
                refused.field.contains("content[1]") && refused.message.ends_with('.'),
                "{refused}"
            );
        }
    }
}

#[test]
fn what_a_tool_returned_is_not_elsewhere() {
    let result = |content: Value| {
        let call = json!({"type": "tool_use", "id": "c1", "name": "look", "input": {}});
        let result = json!({"type": "tool_result", "tool_use_id": "c1", "content": [content]});
        json!({"model": "m", "messages": [
            {"role": "user", "content": "Hi"}, {"role": "assistant", "content": [call]}, {"role": "user", "content": [result]},
        ]})
    };
    for piece in [picture(Dialect::Messages), document(Dialect::Messages)] {
        let refused = read(Dialect::Messages, result(piece).to_string().as_bytes()).unwrap_err();
        assert_eq!(refused.field, "messages[2].content[0].content[0].source.url");
    }
}
