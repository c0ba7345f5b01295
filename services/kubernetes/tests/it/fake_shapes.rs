//! The fields that objects may have, as far as we write any, and what kind each is. Strict decoding refuses all others.

use serde_json::{Value, json};

/// Whether a value has no field its shape lacks, and every field its kind. `s`, `i`, `b`: text, number, truth; `m`: texts by name.
pub fn fits(value: &Value, shape: &Value, path: &str) -> Result<(), String> {
    let wrong = || Err(format!("wrong type at {path:?}"));
    match (shape, value) {
        (_, Value::Null) => Ok(()),
        (Value::String(kind), value) => {
            let is_right = match kind.as_str() {
                "s" => value.is_string(),
                "i" => value.is_i64() || value.is_u64(),
                "b" => value.is_boolean(),
                _ => value.as_object().is_some_and(|all| all.values().all(Value::is_string)),
            };
            if is_right { Ok(()) } else { wrong() }
        }
        (Value::Array(shape), Value::Array(values)) => values
            .iter()
            .try_for_each(|value| fits(value, &shape[0], &format!("{path}[]"))),
        (Value::Object(shape), Value::Object(fields)) => fields.iter().try_for_each(|(name, value)| {
            let path = format!("{path}.{name}");
            let shape = shape.get(name).ok_or_else(|| format!("unknown field {path:?}"))?;
            fits(value, shape, &path)
        }),
        _ => wrong(),
    }
}

fn metadata_shape() -> Value {
    json!({ "name": "s", "namespace": "s", "labels": "m", "annotations": "m", "resourceVersion": "s" })
}

pub fn secret_shape() -> Value {
    json!({
        "apiVersion": "s", "kind": "s", "metadata": metadata_shape(), "type": "s", "immutable": "b", "data": "m", "stringData": "m",
    })
}

pub fn claim_shape() -> Value {
    let spec = json!({
        "accessModes": ["s"], "resources": { "requests": "m", "limits": "m" }, "storageClassName": "s", "volumeMode": "s",
    });
    json!({ "apiVersion": "s", "kind": "s", "metadata": metadata_shape(), "spec": spec })
}

pub fn pod_shape() -> Value {
    let container = json!({
        "name": "s", "image": "s", "imagePullPolicy": "s", "command": ["s"], "args": ["s"], "workingDir": "s",
        "env": [{ "name": "s", "value": "s", "valueFrom": { "secretKeyRef": { "name": "s", "key": "s", "optional": "b" } } }],
        "volumeMounts": [{ "name": "s", "mountPath": "s", "subPath": "s", "readOnly": "b" }],
        "resources": { "requests": "m", "limits": "m" },
        "securityContext": {
            "allowPrivilegeEscalation": "b", "privileged": "b", "readOnlyRootFilesystem": "b", "runAsNonRoot": "b",
            "runAsUser": "i", "runAsGroup": "i", "capabilities": { "add": ["s"], "drop": ["s"] },
        },
    });
    let volume = json!({
        "name": "s", "emptyDir": { "sizeLimit": "s", "medium": "s" },
        "persistentVolumeClaim": { "claimName": "s", "readOnly": "b" },
        "secret": { "secretName": "s", "items": [{ "key": "s", "path": "s", "mode": "i" }], "defaultMode": "i" },
    });
    let security = json!({
        "runAsNonRoot": "b", "runAsUser": "i", "runAsGroup": "i", "fsGroup": "i", "fsGroupChangePolicy": "s",
        "seccompProfile": { "type": "s", "localhostProfile": "s" },
    });
    let spec = json!({
        "restartPolicy": "s", "terminationGracePeriodSeconds": "i", "automountServiceAccountToken": "b", "enableServiceLinks": "b",
        "shareProcessNamespace": "b", "securityContext": security, "containers": [container], "initContainers": [container],
        "volumes": [volume], "runtimeClassName": "s", "imagePullSecrets": [{ "name": "s" }], "nodeSelector": "m",
    });
    json!({ "apiVersion": "s", "kind": "s", "metadata": metadata_shape(), "spec": spec })
}
