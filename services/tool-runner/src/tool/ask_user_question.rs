//! `ask_user_question`: questions to the user, with answers to choose from. It ends the turn; the next message is the answer.

use serde_json::{Value, json};

use super::arguments::{Arguments, list, must_be, within};
use super::{Outcome, Stop};

/// Most questions at once.
const MAX_QUESTIONS: usize = 20;

/// Answers to choose from.
const MIN_OPTIONS: usize = 2;
const MAX_OPTIONS: usize = 4;

pub(super) fn definition() -> (&'static str, Value) {
    let description = "Asks the user questions that the plan depends on and ends the turn; the user's next message is the answer. \
        Each question has 2 to 4 answers to choose from; a free answer is always possible and need not be listed.";
    let text = |description: &str| json!({ "type": "string", "description": description });
    let option = json!({
        "type": "object",
        "properties": {
            "label": text("The answer in a few words."),
            "description": text("What choosing it means."),
        },
        "required": ["label", "description"],
    });
    let question = json!({
        "type": "object",
        "properties": {
            "header": text("The subject in one or two words."),
            "question": text("The question."),
            "options": { "type": "array", "items": option, "minItems": MIN_OPTIONS, "maxItems": MAX_OPTIONS },
        },
        "required": ["header", "question", "options"],
    });
    let schema = json!({
        "type": "object",
        "properties": { "questions": { "type": "array", "items": question, "minItems": 1, "maxItems": MAX_QUESTIONS } },
        "required": ["questions"],
    });
    (description, schema)
}

pub(super) fn run(arguments: &Arguments) -> Result<Outcome, Stop> {
    let questions = list(arguments, "questions", "")?;
    if questions.len() > MAX_QUESTIONS {
        return Err(must_be("questions", &format!("at most {MAX_QUESTIONS}")));
    }
    let questions: Vec<Value> = questions
        .iter()
        .map(|(at, asked)| question(at, asked))
        .collect::<Result<_, _>>()?;
    Ok(Outcome::Done(json!({ "questions": questions })))
}

fn question(at: &str, asked: &Arguments) -> Result<Value, Stop> {
    let text = |name| asked.text(name).map_err(|stop| within(at, stop));
    let (header, question) = (text("header")?, text("question")?);
    let wrong = || Stop::Failed(format!("{at}.options must contain {MIN_OPTIONS}-{MAX_OPTIONS} items"));
    let options = match asked.get("options") {
        Some(Value::Array(options)) if options.is_empty() => return Err(wrong()),
        _ => list(asked, "options", at)?,
    };
    if !(MIN_OPTIONS..=MAX_OPTIONS).contains(&options.len()) {
        return Err(wrong());
    }
    let shown = options.iter().map(|(at, option)| {
        let text = |name| option.text(name).map_err(|stop| within(at, stop));
        Ok(json!({ "label": text("label")?, "description": text("description")? }))
    });
    let options: Vec<Value> = shown.collect::<Result<_, Stop>>()?;
    Ok(json!({ "header": header, "question": question, "options": options }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(value: &Value) -> Result<Value, String> {
        let arguments = Arguments::parse(&value.to_string()).unwrap();
        match run(&arguments) {
            Ok(Outcome::Done(value)) => Ok(value),
            Err(Stop::Failed(message)) => Err(message),
            other => panic!("{other:?}"),
        }
    }

    fn options(count: usize) -> Value {
        (0..count)
            .map(|index| json!({"label": format!("l{index}"), "description": "d"}))
            .collect()
    }

    #[test]
    fn questions_come_back_as_they_were_asked() {
        let asked = json!({"questions": [{"header": "Store", "question": "Which?", "options": options(3)}]});
        assert_eq!(ask(&asked), Ok(asked));
    }

    #[test]
    fn errors_name_the_field() {
        let one = |header: &str, count| json!({"questions": [{"header": header, "question": "Which?", "options": options(count)}]});
        for (asked, expected) in [
            (json!({}), "questions must be a list"),
            (json!({"questions": []}), "questions must be a list"),
            (one(" ", 2), "questions[0].header is required"),
            (one("a", 0), "questions[0].options must contain 2-4 items"),
            (one("a", 1), "questions[0].options must contain 2-4 items"),
            (one("a", 5), "questions[0].options must contain 2-4 items"),
            (
                json!({"questions": [{"header": "a", "question": "b"}]}),
                "questions[0].options must be a list",
            ),
            (
                json!({"questions": [{"header": "a", "question": "b", "options": [{"label": "x", "description": "y"}, {"label": ""}]}]}),
                "questions[0].options[1].label is required",
            ),
        ] {
            let message = ask(&asked).unwrap_err();
            assert!(message.starts_with(expected), "{message}");
        }
    }
}
