//! What every process of a workspace finds in its environment: the template's variables and the values of its parameters.

use std::collections::HashMap;

use tandem_proto::storage::v1::{TemplateSpec, Workspace};

/// Begins the names of variables that hold values of parameters.
const PARAMETER_PREFIX: &str = "TANDEM_PARAMETER_";

/// The variables by name.
pub(crate) fn of(spec: &TemplateSpec, workspace: &Workspace) -> HashMap<String, String> {
    let parameters = workspace
        .parameters
        .iter()
        .map(|(name, value)| (format!("{PARAMETER_PREFIX}{}", name.to_uppercase()), value.clone()));
    spec.environment.clone().into_iter().chain(parameters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_variables_of_their_own() {
        let pair = |name: &str, value: &str| HashMap::from([(name.to_owned(), value.to_owned())]);
        let spec = TemplateSpec {
            environment: pair("LANG", "C"),
            ..TemplateSpec::default()
        };
        let workspace = Workspace {
            parameters: pair("git_repo", "x"),
            ..Workspace::default()
        };
        let mut expected = pair("LANG", "C");
        expected.extend(pair("TANDEM_PARAMETER_GIT_REPO", "x"));
        assert_eq!(of(&spec, &workspace), expected);
    }
}
