//! `bcrypt` and `rsadecrypt`.

use super::{
    Function,
    arguments::{integer, take, text},
    exact, several,
};
use crate::value::Value;
use base64::Engine;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::traits::PublicKeyParts;
use rsa::{Pkcs1v15Encrypt, RsaPrivateKey};

pub(super) const FUNCTIONS: &[Function] = &[several("bcrypt", 1, bcrypt), exact("rsadecrypt", 2, rsa_decrypt)];

/// The cost without an argument, and for one below [`LEAST_COST`].
const COST: u32 = 10;
const LEAST_COST: i64 = 4;
const MOST_COST: i64 = 31;

/// The smallest key that Go's library accepts, in bits.
const LEAST_BITS: usize = 1024;

/// The hash of a password with a random salt. The cost is the second argument.
fn bcrypt(arguments: Vec<Value>) -> Result<Value, String> {
    let mut arguments = arguments.into_iter();
    let password = text(arguments.next().ok_or("takes a password")?)?;
    let cost = arguments.next().map(integer).transpose()?;
    if arguments.next().is_some() {
        return Err("takes no more than two arguments".into());
    }
    let cost = match cost {
        Some(cost) if cost > MOST_COST => {
            return Err(format!("cost {cost} is outside allowed inclusive range {LEAST_COST}..{MOST_COST}"));
        }
        Some(cost) if cost >= LEAST_COST => u32::try_from(cost).map_err(|error| error.to_string())?,
        _ => COST,
    };
    if password.len() > 72 {
        return Err("password length exceeds 72 bytes".into());
    }
    let parts = bcrypt::hash_with_result(password, cost).map_err(|error| error.to_string())?;
    Ok(Value::String(parts.format_for_version(bcrypt::Version::TwoA)))
}

/// The text that was encrypted with PKCS #1 v1.5 (RFC 8017, section 7.2), given in base64, and the private key in PEM (PKCS #1).
fn rsa_decrypt(arguments: Vec<Value>) -> Result<Value, String> {
    let [cipher, key] = take(arguments)?;
    let (cipher, key) = (text(cipher)?, text(key)?);
    let bytes = base64::engine::general_purpose::STANDARD.decode(&cipher);
    let bytes =
        bytes.map_err(|_| format!("failed to decode input \"{cipher}\": cipher text must be base64-encoded"))?;
    if !key.contains("-----BEGIN ") {
        return Err("failed to parse key: no key found".into());
    }
    let key = RsaPrivateKey::from_pkcs1_pem(key.trim());
    let key = key.map_err(|error| format!("failed to parse key: {error}; it must be an RSA PRIVATE KEY (PKCS #1)"))?;
    let bits = key.size() * 8;
    if bits < LEAST_BITS {
        return Err(format!("{bits}-bit keys are insecure"));
    }
    let plain = key.decrypt(Pkcs1v15Encrypt, &bytes).map_err(|_| "decryption error")?;
    Ok(Value::String(String::from_utf8_lossy(&plain).into_owned()))
}
