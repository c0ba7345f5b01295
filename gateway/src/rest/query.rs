//! The part of an address behind `?`. A parameter that takes one value may be given once; an empty one counts as absent;
//! unknown ones are ignored.

use std::str::FromStr;

use axum::{extract::FromRequestParts, http::request::Parts};

use crate::problem::Problem;

/// Parameters looked at; more are ignored.
const MAX_PARAMETERS: usize = 128;

/// The decoded parameters, in order.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// The parameters of `text`.
    pub fn parse(text: &str) -> Self {
        let pairs = url::form_urlencoded::parse(text.as_bytes()).into_owned();
        Self(pairs.take(MAX_PARAMETERS).collect())
    }

    /// Every value of `name`.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The one value of `name`.
    ///
    /// # Errors
    /// 400 when it is given twice.
    pub fn one<'a>(&'a self, name: &'a str) -> Result<Option<&'a str>, Problem> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() {
            return Err(Problem::field(name, "must be given only once"));
        }
        Ok(first.filter(|value| !value.is_empty()))
    }

    /// The one value of `name`, read.
    ///
    /// # Errors
    /// 400 that says it must be `what`.
    pub fn read<T: FromStr>(&self, name: &str, what: &str) -> Result<Option<T>, Problem> {
        self.one(name)?
            .map(|value| {
                value
                    .parse()
                    .map_err(|_| Problem::field(name, format!("must be {what}")))
            })
            .transpose()
    }

    /// Refuses parameters that are not among `known`: a misspelt one would silently ask for something else.
    ///
    /// # Errors
    /// 400 that names the first.
    pub fn only(&self, known: &[&str]) -> Result<(), Problem> {
        match self.0.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            Some((key, _)) => Err(Problem::field(key.clone(), "is no parameter of this route")),
            None => Ok(()),
        }
    }

    /// A number of at least `min`.
    ///
    /// # Errors
    /// 400.
    pub fn number<T: FromStr + PartialOrd + std::fmt::Display>(
        &self,
        name: &str,
        min: T,
    ) -> Result<Option<T>, Problem> {
        match self.read(name, "a whole number")? {
            Some(number) if number < min => Err(Problem::field(name, format!("must be at least {min}"))),
            number => Ok(number),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_once_and_checked() {
        let query = Query::parse("limit=5&q=&label=a:b&label=c%3Ad&bad=x&low=-1&two=1&two=2");
        assert_eq!(query.number::<i32>("limit", 0).unwrap(), Some(5));
        assert_eq!(query.one("q").unwrap(), None);
        assert_eq!(query.one("none").unwrap(), None);
        assert_eq!(query.all("label").collect::<Vec<_>>(), ["a:b", "c:d"]);
        assert!(query.number::<i32>("bad", 0).is_err());
        assert!(query.number::<i32>("low", 0).is_err());
        assert!(query.one("two").is_err());
    }

    #[test]
    fn a_route_can_refuse_what_it_does_not_know() {
        let query = Query::parse("start_date=&limit=1");
        assert!(query.only(&["start_date", "limit", "offset"]).is_ok());
        assert!(query.only(&["start_date"]).is_err());
    }
}
