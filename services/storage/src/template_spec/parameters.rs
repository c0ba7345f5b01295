//! Values of a template's parameters: what a workspace gets from its maker, a preset and the defaults, in this order.

use std::collections::BTreeMap;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::{Broken, MAX_PARAMETERS, Parameter, Preset, Spec};

/// Largest value, in bytes.
pub(super) const MAX_VALUE_BYTES: usize = 8 * 1024;

/// Largest compiled pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 1024 * 1024;

/// What a parameter's value is; it is kept and passed on as text.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    String,
    Number,
    Bool,
    /// A JSON array of text.
    List,
}

impl Spec {
    /// The values of a new workspace.
    ///
    /// # Errors
    /// Every name that is no parameter's, every value that is not valid, and every one that is missing.
    pub(crate) fn resolve(
        &self,
        given: &BTreeMap<String, String>,
        preset: Option<&Preset>,
    ) -> Result<BTreeMap<String, String>, Vec<Broken>> {
        let mut broken = self.unknown(given);
        let mut values = BTreeMap::new();
        for parameter in &self.parameters {
            let preset = preset.and_then(|preset| preset.parameters.get(&parameter.name));
            let value = given
                .get(&parameter.name)
                .or(preset)
                .or(parameter.default_value.as_ref());
            match value.map(|value| (value, parameter.check(value))) {
                Some((value, Ok(()))) => {
                    values.insert(parameter.name.clone(), value.clone());
                }
                Some((_, Err(problem))) => broken.push((field(&parameter.name), problem)),
                None if parameter.is_required => broken.push((field(&parameter.name), "is required".to_owned())),
                None => {}
            }
        }
        if broken.is_empty() { Ok(values) } else { Err(broken) }
    }

    /// The values after a change at a start.
    ///
    /// # Errors
    /// As [`Spec::resolve`], and every value of a parameter that stays as it was chosen first.
    pub(crate) fn change(
        &self,
        current: &BTreeMap<String, String>,
        given: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, Vec<Broken>> {
        let mut broken = self.unknown(given);
        let mut values = current.clone();
        for parameter in &self.parameters {
            let Some(value) = given.get(&parameter.name) else {
                continue;
            };
            if current.get(&parameter.name) == Some(value) {
                continue;
            }
            if !parameter.is_mutable && current.contains_key(&parameter.name) {
                broken.push((field(&parameter.name), "cannot be changed after creation".to_owned()));
            } else if let Err(problem) = parameter.check(value) {
                broken.push((field(&parameter.name), problem));
            } else {
                values.insert(parameter.name.clone(), value.clone());
            }
        }
        if broken.is_empty() { Ok(values) } else { Err(broken) }
    }

    /// The values of a workspace of another version, which takes this one at its start. What was chosen stays if it may.
    ///
    /// # Errors
    /// As [`Spec::change`], every value that is not valid any more, and every one that is missing.
    pub(crate) fn renew(
        &self,
        current: &BTreeMap<String, String>,
        given: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, Vec<Broken>> {
        let mut broken = self.unknown(given);
        let mut values = BTreeMap::new();
        for parameter in &self.parameters {
            let name = &parameter.name;
            let (given, current) = (given.get(name), current.get(name));
            let is_kept = current.is_some_and(|current| parameter.check(current).is_ok());
            if is_kept && !parameter.is_mutable && given.is_some_and(|given| Some(given) != current) {
                broken.push((field(name), "cannot be changed after creation".to_owned()));
                continue;
            }
            // A default is for what nobody chose: it does not take the place of a choice that is not valid any more.
            let value = given.or(current).or(parameter.default_value.as_ref());
            match value.map(|value| (value, parameter.check(value))) {
                Some((value, Ok(()))) => {
                    values.insert(name.clone(), value.clone());
                }
                Some((_, Err(problem))) => broken.push((field(name), problem)),
                None if parameter.is_required => broken.push((field(name), "is required".to_owned())),
                None => {}
            }
        }
        if broken.is_empty() { Ok(values) } else { Err(broken) }
    }

    fn unknown(&self, given: &BTreeMap<String, String>) -> Vec<Broken> {
        if given.len() > MAX_PARAMETERS {
            return vec![("parameters".to_owned(), format!("must be at most {MAX_PARAMETERS}"))];
        }
        given
            .keys()
            .filter(|name| !self.parameters.iter().any(|parameter| parameter.name == **name))
            .map(|name| {
                let shown: String = name.chars().take(64).collect();
                (field(&shown), "is no parameter of the template".to_owned())
            })
            .collect()
    }
}

impl Parameter {
    /// The pattern, anchored at both ends; matching takes time in proportion to the text, whatever the pattern.
    pub(super) fn pattern(&self) -> Option<Regex> {
        let anchored = format!("^(?:{})$", self.validation_regex);
        RegexBuilder::new(&anchored).size_limit(MAX_PATTERN_BYTES).build().ok()
    }

    /// Whether the value is one of this parameter's.
    ///
    /// # Errors
    /// What it must be.
    pub(super) fn check(&self, value: &str) -> Result<(), String> {
        if value.len() > MAX_VALUE_BYTES || value.contains('\0') {
            return Err(format!(
                "must have at most {MAX_VALUE_BYTES} bytes and no NUL characters"
            ));
        }
        match self.kind {
            Kind::String => {}
            Kind::Number => self.check_number(value)?,
            Kind::Bool if matches!(value, "true" | "false") => {}
            Kind::Bool => return Err("must be true or false".to_owned()),
            Kind::List => {
                serde_json::from_str::<Vec<String>>(value).map_err(|_| "must be a JSON array of text".to_owned())?;
            }
        }
        if !self.options.is_empty() && !self.options.iter().any(|option| option.value == value) {
            return Err("must be one of the options".to_owned());
        }
        if !self.validation_regex.is_empty() && !self.pattern().is_some_and(|pattern| pattern.is_match(value)) {
            return Err(format!("must match {}", self.validation_regex));
        }
        Ok(())
    }

    fn check_number(&self, value: &str) -> Result<(), String> {
        let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
        let Some(number) = number else {
            return Err("must be a number".to_owned());
        };
        if let Some(min) = self.validation_min.filter(|min| number < *min) {
            return Err(format!("must be at least {min}"));
        }
        if let Some(max) = self.validation_max.filter(|max| number > *max) {
            return Err(format!("must be at most {max}"));
        }
        Ok(())
    }
}

fn field(name: &str) -> String {
    format!("parameters.{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(name: &str, kind: Kind) -> Parameter {
        Parameter {
            name: name.to_owned(),
            kind,
            is_required: false,
            is_mutable: false,
            display_name: String::new(),
            description: String::new(),
            default_value: None,
            options: Vec::new(),
            validation_regex: String::new(),
            validation_min: None,
            validation_max: None,
        }
    }

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn values_come_from_the_maker_then_the_preset_then_the_default() {
        let mut spec = Spec::default();
        for name in ["a", "b", "c"] {
            let default_value = Some("default".to_owned());
            spec.parameters.push(Parameter {
                default_value,
                ..parameter(name, Kind::String)
            });
        }
        let preset = Preset {
            id: uuid::Uuid::nil(),
            name: "p".to_owned(),
            description: String::new(),
            is_default: false,
            parameters: values(&[("a", "preset"), ("b", "preset")]),
        };
        let resolved = spec.resolve(&values(&[("a", "mine")]), Some(&preset)).unwrap();
        assert_eq!(resolved, values(&[("a", "mine"), ("b", "preset"), ("c", "default")]));
    }

    #[test]
    fn every_value_that_is_wrong_or_missing_is_named() {
        let mut number = parameter("size", Kind::Number);
        number.validation_max = Some(8.0);
        let mut needed = parameter("repo", Kind::String);
        needed.is_required = true;
        let mut branch = parameter("branch", Kind::String);
        branch.validation_regex = "[a-z]+".to_owned();
        let spec = Spec {
            parameters: vec![number, needed, branch],
            ..Spec::default()
        };
        let broken = spec
            .resolve(&values(&[("size", "9"), ("branch", "ab1"), ("other", "x")]), None)
            .unwrap_err();
        let fields: Vec<&str> = broken.iter().map(|(field, _)| field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "parameters.other",
                "parameters.size",
                "parameters.repo",
                "parameters.branch"
            ]
        );
    }

    #[test]
    fn kinds_are_checked() {
        let cases = [
            (Kind::Bool, "true", "yes"),
            (Kind::Number, "1.5", "NaN"),
            (Kind::List, r#"["a"]"#, "a,b"),
            (Kind::String, "any", "nul\0"),
        ];
        for (kind, good, bad) in cases {
            assert_eq!(parameter("p", kind).check(good), Ok(()), "{good}");
            assert!(parameter("p", kind).check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn another_version_keeps_what_it_can_and_names_what_it_lacks() {
        let mut loose = parameter("loose", Kind::Number);
        loose.is_mutable = true;
        loose.validation_max = Some(4.0);
        loose.default_value = Some("1".to_owned());
        let mut fresh = parameter("fresh", Kind::String);
        fresh.is_required = true;
        let spec = Spec {
            parameters: vec![loose, parameter("fixed", Kind::String), fresh],
            ..Spec::default()
        };
        let current = values(&[("loose", "2"), ("fixed", "1"), ("gone", "x")]);
        let renewed = spec.renew(&current, &values(&[("fresh", "new")])).unwrap();
        assert_eq!(renewed, values(&[("loose", "2"), ("fixed", "1"), ("fresh", "new")]));
        let broken = |current: &[(&str, &str)], given: &[(&str, &str)]| {
            let broken = spec.renew(&values(current), &values(given)).unwrap_err();
            broken.into_iter().map(|(field, _)| field).collect::<Vec<_>>()
        };
        assert_eq!(broken(&[("loose", "2")], &[]), ["parameters.fresh"]);
        let refused = broken(&[("loose", "9"), ("fixed", "1")], &[("fresh", "new"), ("fixed", "2")]);
        assert_eq!(
            refused,
            ["parameters.loose", "parameters.fixed"],
            "a choice is not replaced by a default"
        );
        let renewed = spec.renew(&values(&[]), &values(&[("fresh", "new")])).unwrap();
        assert_eq!(renewed, values(&[("loose", "1"), ("fresh", "new")]));
    }

    #[test]
    fn what_was_chosen_for_good_stays() {
        let mut loose = parameter("loose", Kind::String);
        loose.is_mutable = true;
        let spec = Spec {
            parameters: vec![loose, parameter("fixed", Kind::String)],
            ..Spec::default()
        };
        let current = values(&[("loose", "1"), ("fixed", "1")]);
        let changed = spec
            .change(&current, &values(&[("loose", "2"), ("fixed", "1")]))
            .unwrap();
        assert_eq!(changed, values(&[("loose", "2"), ("fixed", "1")]));
        assert!(spec.change(&current, &values(&[("fixed", "2")])).is_err());
    }
}
