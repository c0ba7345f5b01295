//! Answers by way of the neutral request: for models whose vendor does not speak the client's dialect.
//!
//! Owns the completion on the client's behalf: it is stopped when the client leaves, and what it says is told in the client's dialect.
//! Running it, with its spend limit, breaker, keys and guards, is [`crate::completion::task`]'s.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};
use secrecy::ExposeSecret;
use tandem_chat_core::{id::KeyId, part::Part};
use tandem_protocols::{
    ApiKey, Protocol,
    call::{Purpose, Request, ToolChoice},
};
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    Parts,
    body::Body,
    dialect::Dialect,
    directory, headers,
    inject::{
        Offer, may_mean_tools,
        neutral::{Asking, Rounds},
    },
    passthrough::refused_field,
    refusal::{Reason, Refusal},
    relay::Told,
    serve::Unserved,
    sniff::{Heard, Keep},
    tab::Tab,
    translate::{self, Answering, Asked, Encoder},
};
use crate::{
    catalog::{Model, Provider},
    completion::{Event, Failed, buffer::Reader, registry::Completion},
};

/// Silence after which a stream says that the answer is still coming.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// An answer being told. Dropping it stops the completion, unless it has ended.
struct Telling {
    /// Gone where somebody else is to answer.
    tab: Option<Tab>,
    dialect: Dialect,
    completion: Arc<Completion>,
    reader: Reader,
    encoder: Option<Encoder>,
    heard: Heard,
    /// Tools were put into the request.
    rounds: Option<Box<Rounds>>,
    /// Words have come, or tools have run: nobody else is to answer.
    has_begun: bool,
}

impl Drop for Telling {
    fn drop(&mut self) {
        if !self.completion.buffer.is_closed() {
            self.completion.cancel.cancel();
        }
        if let Some(rounds) = &self.rounds {
            rounds.leave(&mut self.heard);
        }
        // Closed before, it is not closed again.
        self.close(false);
    }
}

/// Answers a request; returns with the first words, or with all of them. A failure behind words, or tools that have run, is an answer too.
///
/// # Errors
/// Nobody has answered.
pub(super) async fn tell(
    parts: &Arc<Parts>,
    mut tab: Tab,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Response<Body>, Box<Unserved>> {
    let dialect = tab.dialect;
    tab.is_paid_elsewhere();
    let started = match asked(&tab, headers, body) {
        Ok((asked, model)) => {
            let offer = offer(parts, &tab, &asked).await;
            start(parts, &tab, asked, model, offer)
        }
        Err(refusal) => Err(refusal),
    };
    let Started {
        completion,
        reader,
        answering,
        rounds,
    } = match started {
        Ok(started) => started,
        Err(refusal) => return Err(Unserved::new(tab, refusal)),
    };
    let is_stream = answering.is_stream;
    let mut heard = Heard::new(keep(parts));
    heard.name(Some(&answering.id));
    let mut telling = Telling {
        tab: Some(tab),
        dialect,
        completion,
        reader,
        encoder: Some(Encoder::new(dialect, answering)),
        heard,
        rounds,
        has_begun: false,
    };
    let outcome = if is_stream {
        telling.first().await
    } else {
        telling.all().await
    };
    Ok(match outcome {
        Err(failed) => return failure(telling, &failed),
        Ok(document) if !is_stream => {
            telling.answered(200);
            telling.close(true);
            let mut response = Response::new(Body::full(document));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
        Ok(first) => {
            telling.answered(200);
            let rest = futures::stream::unfold(telling, |mut telling| async move {
                let piece = telling.next().await?;
                Some((piece, telling))
            });
            let all = futures::StreamExt::chain(futures::stream::iter([first]), rest);
            let all = futures::StreamExt::filter(all, |piece| std::future::ready(!piece.is_empty()));
            let mut response = Response::new(Body::told(all));
            headers::for_events(response.headers_mut());
            response
        }
    })
}

fn keep(parts: &Parts) -> Keep {
    Keep::of(parts.recorder.is_on())
}

/// The request in neutral terms, and the model with what the client set for it.
fn asked(tab: &Tab, headers: &HeaderMap, body: &Bytes) -> Result<(Asked, Model), Refusal> {
    let asked = translate::read(tab.dialect, body).map_err(|refused| refused_field(&refused))?;
    let options = asked.options(&tab.model).map_err(|refused| refused_field(&refused))?;
    let provider = match headers::own_credential(headers).filter(|_| tab.brings_key) {
        Some(own) => {
            let key = ApiKey::new(KeyId::new(Uuid::nil()), own.expose_secret().to_owned()).of_user(tab.caller.user);
            Arc::new(Provider {
                keys: vec![key],
                ..Provider::clone(&tab.model.provider)
            })
        }
        None => Arc::clone(&tab.model.provider),
    };
    let model = Model {
        asked: Arc::new(tandem_protocols::Model {
            options,
            ..tandem_protocols::Model::clone(&tab.model.asked)
        }),
        provider,
        // In its place they are asked with what the client set in words of their own.
        fallbacks: Vec::new(),
        ..Model::clone(&tab.model)
    };
    Ok((asked, model))
}

/// The tools of MCP servers that the request is given.
async fn offer(parts: &Parts, tab: &Tab, asked: &Asked) -> Option<Offer> {
    let injector = parts
        .injector
        .as_ref()
        .filter(|_| asked.tool_choice != ToolChoice::None)?;
    let own: Vec<String> = asked.tools.iter().map(|tool| tool.name.clone()).collect();
    injector.offer(&tab.caller.identity, &tab.model.model, &own).await
}

/// An answer whose first round has begun.
struct Started {
    completion: Arc<Completion>,
    reader: Reader,
    answering: Answering,
    rounds: Option<Box<Rounds>>,
}

fn start(
    parts: &Arc<Parts>,
    tab: &Tab,
    mut asked: Asked,
    model: Model,
    offer: Option<Offer>,
) -> Result<Started, Refusal> {
    asked.tools.extend(offer.iter().flat_map(Offer::tools));
    let answering = Answering {
        id: format!("{}{}", prefix(tab.dialect), tab.id.simple()),
        model: asked.model,
        created_unix_s: parts.clock.now().unix_timestamp(),
        is_stream: asked.is_stream,
        wants_usage: asked.wants_usage,
        is_serial: asked.is_serial,
        free_form: asked.free_form,
    };
    let request = Request {
        id: tab.completion_id(),
        model_config_id: model.id,
        messages: asked.messages,
        tools: asked.tools,
        tool_choice: asked.tool_choice,
        max_output_tokens: asked.max_output_tokens,
        chat_id: None,
        purpose: Purpose::Bridge,
        continues: None,
        output: asked.output.map(|output| output.format),
    };
    let (protocol, payer, model) = (Protocol::of(&model), Some(tab.payer()), Arc::new(model));
    let rounds = offer.map(|offer| {
        let asking = Asking {
            parts: Arc::clone(parts),
            request: request.clone(),
            payer,
            model: Arc::clone(&model),
            protocol,
        };
        Box::new(Rounds::new(asking, offer))
    });
    let started = parts.runner.start(request, payer, model, protocol);
    let completion = started.map_err(directory::refusal)?;
    let reader = completion.buffer.read(None);
    let reader = reader.ok_or_else(|| Refusal::new(Reason::Internal, "The answer is not held any more."))?;
    Ok(Started {
        completion,
        reader,
        answering,
        rounds,
    })
}

fn prefix(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::ChatCompletions => "chatcmpl-",
        Dialect::Responses => "resp_",
        Dialect::Messages => "msg_",
    }
}

/// A failure before the first byte.
///
/// # Errors
/// Nothing has come of it, so that somebody else may answer.
fn failure(mut telling: Telling, failed: &Failed) -> Result<Response<Body>, Box<Unserved>> {
    let status = translate::failure_status(failed);
    let body = translate::failure_body(failed, telling.dialect.family());
    let mut response = Response::new(Body::full(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    if !failed.retry_after.is_zero() {
        let seconds = failed.retry_after.as_secs() + u64::from(failed.retry_after.subsec_nanos() > 0);
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    if !telling.has_begun
        && let Some(tab) = telling.tab.take()
    {
        let error = &failed.error;
        // Where no vendor was asked, it was the spend limit that could not be looked at.
        let is_vendors = error.retryable && !error.provider.is_empty();
        let lack = Some(error.kind).filter(|kind| is_vendors && kind.is_lack_of_room());
        return Err(Unserved::new(tab, Told { response, lack }));
    }
    telling.answered(status.as_u16());
    telling.close(false);
    Ok(response)
}

impl Telling {
    /// The client sees this status from now on.
    fn answered(&mut self, status: u16) {
        if let Some(tab) = &mut self.tab {
            tab.answered(status);
        }
    }

    /// Ends the exchange; only the first time counts.
    fn close(&mut self, is_complete: bool) {
        if let Some(tab) = &mut self.tab {
            tab.close(&mut self.heard, is_complete);
        }
    }

    /// The next event the client sees; `None` after the last. Nothing is lost if it is not waited for to its end.
    async fn event(&mut self) -> Option<Arc<Event>> {
        loop {
            let Some(rounds) = &mut self.rounds else {
                return self.reader.next().await.map(|(_, event)| event);
            };
            if rounds.is_between() {
                self.has_begun = true;
                match rounds.next(&mut self.heard).await {
                    Ok((completion, reader)) => (self.completion, self.reader) = (completion, reader),
                    Err(failed) => return Some(Arc::new(Event::Failed(failed))),
                }
            }
            let (_, event) = self.reader.next().await?;
            if let Some(event) = rounds.take(event, &mut self.heard) {
                return Some(event);
            }
        }
    }

    /// Asks once more without our tools, if they may be why the vendor has refused.
    async fn goes_on_without_tools(&mut self, failed: &Failed) -> bool {
        let may_be = failed.error.status_code.is_some_and(may_mean_tools);
        let rounds = self.rounds.take().filter(|_| may_be);
        let Some(mut asking) = rounds.and_then(|rounds| rounds.without_tools()) else {
            return false;
        };
        let Ok((completion, reader)) = asking.again().await else {
            return false;
        };
        (self.completion, self.reader) = (completion, reader);
        true
    }

    /// The first piece that has words; before it a failure is an answer of its own.
    async fn first(&mut self) -> Result<Bytes, Box<Failed>> {
        let mut told = Vec::new();
        loop {
            let event = match timeout(PING_INTERVAL, self.event()).await {
                Ok(Some(event)) => event,
                Ok(None) => break,
                // While tools run it may take long until there are words.
                Err(_) if self.rounds.as_ref().is_some_and(|rounds| rounds.has_gone_on()) => {
                    told.extend_from_slice(&translate::ping(self.dialect));
                    break;
                }
                Err(_) => continue,
            };
            if let Event::Failed(failed) = &*event {
                if self.goes_on_without_tools(failed).await {
                    continue;
                }
                return Err(failed.clone());
            }
            told.extend_from_slice(&self.tell(&event));
            if !matches!(*event, Event::Started(_)) {
                break;
            }
        }
        Ok(Bytes::from(told))
    }

    /// The whole answer.
    async fn all(&mut self) -> Result<Bytes, Box<Failed>> {
        while let Some(event) = self.event().await {
            if let Event::Failed(failed) = &*event {
                // What has been said would be said twice.
                if !self.has_begun && self.goes_on_without_tools(failed).await {
                    continue;
                }
                return Err(failed.clone());
            }
            self.has_begun |= !matches!(*event, Event::Started(_));
            self.tell(&event);
        }
        Ok(self.encoder.take().map(Encoder::finish).unwrap_or_default())
    }

    /// The next piece; a ping after a silence, `None` after the end.
    async fn next(&mut self) -> Option<Bytes> {
        self.encoder.as_ref()?;
        match timeout(PING_INTERVAL, self.event()).await {
            Ok(Some(event)) => Some(self.tell(&event)),
            Ok(None) => {
                let is_complete = !self.heard.has_failed;
                self.close(is_complete);
                self.encoder.take().map(Encoder::finish)
            }
            Err(_) => Some(translate::ping(self.dialect)),
        }
    }

    fn tell(&mut self, event: &Event) -> Bytes {
        self.hear(event);
        self.encoder
            .as_mut()
            .map(|encoder| encoder.event(event))
            .unwrap_or_default()
    }

    fn hear(&mut self, event: &Event) {
        let heard = &mut self.heard;
        match event {
            Event::Part(part) => {
                if let Part::ToolCall(call) = &**part {
                    heard.whole_call(call);
                }
            }
            Event::ReasoningDone(part) => {
                let index = i64::try_from(heard.thoughts.len()).unwrap_or(i64::MAX);
                heard.thought(index, "thinking", Some(&part.text));
            }
            Event::Finished(finished) => heard.usage = finished.usage,
            Event::Failed(_) => heard.has_failed = true,
            Event::Started(_) | Event::TextDelta(_) | Event::ReasoningDelta(_) | Event::ToolCallDelta(_) => {}
        }
    }
}
