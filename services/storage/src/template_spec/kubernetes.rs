//! What a pod is made of. Whether the deployment has a cluster is found out by who starts the pod.

use serde::{Deserialize, Serialize};
use tandem_proto::storage::v1 as wire;

use super::Broken;

const MAX_IMAGE_BYTES: usize = 1024;
const MAX_QUANTITY_BYTES: usize = 64;

/// Units of processors: whole ones and thousandths.
const CPU_UNITS: [&str; 2] = ["", "m"];

/// Units of bytes that somebody may want.
const BYTE_UNITS: [&str; 9] = ["", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti"];

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct Kubernetes {
    pub(crate) image: String,
    pub(crate) cpu: String,
    pub(crate) memory: String,
    pub(crate) home_size: String,
}

/// Everything that is wrong with it.
pub(super) fn broken(backend: wire::TemplateBackend, pod: Option<&wire::KubernetesSettings>) -> Vec<Broken> {
    let is_pod = backend == wire::TemplateBackend::Kubernetes;
    let none = wire::KubernetesSettings::default();
    let pod = match pod {
        Some(pod) => pod,
        None if is_pod => &none,
        None => return Vec::new(),
    };
    let mut broken = Vec::new();
    let mut refuse = |field: &str, problem: &str| broken.push((format!("kubernetes.{field}"), problem.to_owned()));
    if pod.image.len() > MAX_IMAGE_BYTES
        || pod
            .image
            .contains(|letter: char| letter.is_whitespace() || letter.is_control())
    {
        refuse("image", "must be the name of an image, at most 1024 bytes");
    } else if is_pod && pod.image.is_empty() {
        refuse("image", "must be the image of the workspaces' pods");
    }
    if !is_quantity(&pod.cpu, &CPU_UNITS) {
        refuse("cpu", "must be an amount such as 2 or 500m, or empty");
    }
    for (field, amount) in [("memory", &pod.memory), ("home_size", &pod.home_size)] {
        if !is_quantity(amount, &BYTE_UNITS) {
            refuse(field, "must be an amount such as 512Mi or 10Gi, or empty");
        }
    }
    broken
}

/// Whether it is an amount above 0 in one of these units, or empty.
fn is_quantity(text: &str, units: &[&str]) -> bool {
    if text.is_empty() {
        return true;
    }
    let end = text
        .find(|letter: char| letter.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    text.len() <= MAX_QUANTITY_BYTES
        && is_number(whole)
        && is_number(part)
        && number.contains(|digit| ('1'..='9').contains(&digit))
        && units.contains(&unit)
}

impl From<wire::KubernetesSettings> for Kubernetes {
    fn from(pod: wire::KubernetesSettings) -> Self {
        Self {
            image: pod.image,
            cpu: pod.cpu,
            memory: pod.memory,
            home_size: pod.home_size,
        }
    }
}

impl From<Kubernetes> for wire::KubernetesSettings {
    fn from(pod: Kubernetes) -> Self {
        Self {
            image: pod.image,
            cpu: pod.cpu,
            memory: pod.memory,
            home_size: pod.home_size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pod: &wire::KubernetesSettings) -> Vec<String> {
        let broken = broken(wire::TemplateBackend::Kubernetes, Some(pod));
        broken.into_iter().map(|(field, _)| field).collect()
    }

    #[test]
    fn a_pod_has_an_image_and_amounts_that_a_cluster_reads() {
        let pod = wire::KubernetesSettings {
            image: "registry.example/shell:1".to_owned(),
            cpu: "1.5".to_owned(),
            memory: "512Mi".to_owned(),
            home_size: String::new(),
        };
        assert_eq!(fields(&pod), Vec::<String>::new());
        let bad = wire::KubernetesSettings {
            image: "two words".to_owned(),
            cpu: "-1".to_owned(),
            memory: "much".to_owned(),
            home_size: "0Gi".to_owned(),
        };
        let all = [
            "kubernetes.image",
            "kubernetes.cpu",
            "kubernetes.memory",
            "kubernetes.home_size",
        ];
        assert_eq!(fields(&bad), all);
        for amount in ["1.", ".5", "1e3x", "5 Gi", "Gi", "1m"] {
            assert!(!is_quantity(amount, &BYTE_UNITS), "{amount}");
        }
        assert!(is_quantity("250m", &CPU_UNITS));
    }

    #[test]
    fn only_pods_need_an_image() {
        assert_eq!(fields(&wire::KubernetesSettings::default()), ["kubernetes.image"]);
        assert_eq!(broken(wire::TemplateBackend::Kubernetes, None).len(), 1);
        assert_eq!(broken(wire::TemplateBackend::Local, None), Vec::new());
    }
}
