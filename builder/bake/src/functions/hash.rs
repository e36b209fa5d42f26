//! Functions of hashes and UUIDs.

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use uuid::Uuid;

use super::{
    Function,
    arguments::{take, text},
    exact,
};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    exact("md5", 1, digest::<Md5>),
    exact("sha1", 1, digest::<Sha1>),
    exact("sha256", 1, digest::<Sha256>),
    exact("sha512", 1, digest::<Sha512>),
    exact("uuidv4", 0, |_| Ok(Value::String(Uuid::new_v4().to_string()))),
    exact("uuidv5", 2, |a| {
        let [namespace, name] = take(a)?;
        let namespace = match text(namespace)?.as_str() {
            "dns" => Uuid::NAMESPACE_DNS,
            "url" => Uuid::NAMESPACE_URL,
            "oid" => Uuid::NAMESPACE_OID,
            "x500" => Uuid::NAMESPACE_X500,
            other => other.parse().map_err(|error| format!("\"{other}\" is not a UUID: {error}"))?,
        };
        Ok(Value::String(Uuid::new_v5(&namespace, text(name)?.as_bytes()).to_string()))
    }),
];

fn digest<D: Digest>(arguments: Vec<Value>) -> Result<Value, String> {
    let [value] = take(arguments)?;
    Ok(Value::String(hex::encode(D::digest(text(value)?.as_bytes()))))
}
