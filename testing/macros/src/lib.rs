//! The attribute `#[test]` of `buildscope-testing`. It keeps the function and registers it with its requirements.

#![forbid(unsafe_code)]

use proc_macro::{TokenStream, TokenTree};

/// Registers a function as a test. The arguments are the test's requirements: `#[test(Root, Program("strace"))]`.
#[proc_macro_attribute]
pub fn test(needs: TokenStream, function: TokenStream) -> TokenStream {
    let mut tokens = function.clone().into_iter();
    let is_fn = |token: &TokenTree| matches!(token, TokenTree::Ident(word) if word.to_string() == "fn");
    let registered = match (tokens.find(is_fn), tokens.next()) {
        (Some(_), Some(TokenTree::Ident(name))) => format!("::buildscope_testing::register!({name} {needs});"),
        _ => "compile_error!(\"#[test] applies only to functions\");".to_owned(),
    };
    let registered: TokenStream = registered.parse().expect("an identifier and tokens are tokens");
    function.into_iter().chain(registered).collect()
}
