//! The names of the functions that an expression calls.

use hcl_edit::{
    expr::FuncCall,
    visit::{Visit, visit_func_call},
};

use super::{Code, Expression};

/// The names of the functions that an expression calls, to find cycles between functions of files.
pub(crate) fn called_functions(expression: &Expression) -> Vec<String> {
    #[derive(Default)]
    struct Calls(Vec<String>);

    impl Visit for Calls {
        fn visit_func_call(&mut self, call: &FuncCall) {
            self.0.push(call.name.name.as_str().to_owned());
            visit_func_call(self, call);
        }
    }

    let mut calls = Calls::default();
    match &expression.code {
        Code::Native(code) => calls.visit_expr(code),
        Code::Template(template) => calls.visit_template(template),
        Code::Literal(_) => {}
        Code::Array(elements) => calls.0.extend(elements.iter().flat_map(called_functions)),
        Code::Object(fields) => calls.0.extend(fields.iter().flat_map(|(_, value)| called_functions(value))),
    }
    calls.0
}
