//! Describing a route, in the words of the API: what it takes, what it answers, which codes it refuses with.
//!
//! What is the same for all routes is added here and said nowhere else: who may come in, bodies that do not come whole,
//! servers that are full or stop, the names of requests.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use taskyard_api::page::Page;
use taskyard_core::id::OperationId;
use utoipa::ToSchema;

use super::bounds::{list, path_name, plain_name, text};
use super::shapes::Shapes;
use super::shared::refusal;
use crate::problem::Code;
use crate::request::NDJSON;

/// The name of the security scheme.
pub(crate) const BEARER: &str = "bearer";

/// What every route may be refused with before it is looked at.
const ANY: &[Code] = &[
    Code::Malformed,
    Code::Unauthorized,
    Code::WrongOrigin,
    Code::HeadTimeout,
    Code::AddressTooLong,
    Code::WrongHost,
    Code::UnknownField,
    Code::TooManyWrongTokens,
    Code::HeadTooLarge,
    Code::Internal,
    Code::ConnectionsFull,
];
/// What comes of asking the engine.
const ASKED: &[Code] = &[Code::Unreadable, Code::Unavailable, Code::Stopping];
/// What comes of changing something besides.
const CHANGED: &[Code] = &[Code::QueueFull, Code::OutcomeUnknown, Code::DiskFull];
/// What comes of a body.
const SENT: &[Code] = &[
    Code::NotJson,
    Code::BrokenBody,
    Code::BodyTimeout,
    Code::TooLarge,
    Code::UnsupportedMediaType,
    Code::Invalid,
    Code::BodiesFull,
];

/// Of a body, each under a name.
type Examples<'a> = &'a [(&'a str, Value)];

/// The routes as they are described, one after the other.
pub(crate) struct Routes<'a> {
    shapes: &'a mut Shapes,
    tag: &'static str,
    prefix: &'static str,
    described: Vec<Operation>,
}

/// One method of one path.
pub(crate) struct Operation {
    method: &'static str,
    path: String,
    value: Map<String, Value>,
    parameters: Vec<Value>,
    answers: BTreeMap<String, Value>,
    codes: Vec<Code>,
}

/// A route that is being described.
pub(crate) struct Described<'a, 's> {
    routes: &'a mut Routes<'s>,
    operation: usize,
}

impl<'s> Routes<'s> {
    pub(crate) fn new(shapes: &'s mut Shapes) -> Self {
        Self {
            shapes,
            tag: "",
            prefix: "",
            described: Vec::new(),
        }
    }

    /// The routes from here on stand under this prefix, and belong to this group.
    pub(crate) fn under(&mut self, prefix: &'static str, tag: &'static str) {
        self.prefix = prefix;
        self.tag = tag;
    }

    /// `name` is what generated clients call it.
    pub(crate) fn get<'a>(&'a mut self, path: &str, name: &str) -> Described<'a, 's> {
        self.add("get", path, name, &[])
    }

    pub(crate) fn post<'a>(&'a mut self, path: &str, name: &str) -> Described<'a, 's> {
        self.add("post", path, name, CHANGED)
    }

    pub(crate) fn patch<'a>(&'a mut self, path: &str, name: &str) -> Described<'a, 's> {
        self.add("patch", path, name, CHANGED)
    }

    pub(crate) fn delete<'a>(&'a mut self, path: &str, name: &str) -> Described<'a, 's> {
        self.add("delete", path, name, CHANGED)
    }

    fn add<'a>(
        &'a mut self,
        method: &'static str,
        path: &str,
        name: &str,
        codes: &[Code],
    ) -> Described<'a, 's> {
        let mut value = Map::new();
        value.insert("tags".to_owned(), json!([self.tag]));
        value.insert("operationId".to_owned(), json!(name));
        let operation = self.described.len();
        self.described.push(Operation {
            method,
            path: format!("{}{path}", self.prefix),
            value,
            parameters: vec![json!({"$ref": "#/components/parameters/X-Request-Id"})],
            answers: BTreeMap::new(),
            codes: [ANY, ASKED, codes].concat(),
        });
        Described {
            routes: self,
            operation,
        }
    }

    /// The paths, and the refusals that they refer to.
    pub(crate) fn finish(self) -> (Value, Value) {
        let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
        let mut responses = Map::new();
        for operation in self.described {
            let path = paths.entry(operation.path.clone()).or_default();
            let method = operation.method.to_owned();
            let is_first = path.insert(method, operation.finish(&mut responses));
            assert!(is_first.is_none(), "a route is described once");
        }
        (json!(paths), Value::Object(responses))
    }
}

impl Described<'_, '_> {
    fn operation(&mut self) -> &mut Operation {
        &mut self.routes.described[self.operation]
    }

    /// In a few words, and in as many as it takes.
    pub(crate) fn says(mut self, summary: &str, description: &str) -> Self {
        let value = &mut self.operation().value;
        value.insert("summary".to_owned(), json!(summary));
        value.insert("description".to_owned(), json!(description));
        self
    }

    /// Everybody may call it, whatever stands in its query, and the engine is not asked.
    pub(crate) fn for_everybody(mut self) -> Self {
        let operation = self.operation();
        operation.value.insert("security".to_owned(), json!([]));
        let is_met = |code: &Code| !matches!(code, Code::Unauthorized | Code::TooManyWrongTokens);
        operation.codes.retain(is_met);
        self.asks_nothing()
    }

    /// It is answered without the engine, whatever stands in its query.
    pub(crate) fn asks_nothing(mut self) -> Self {
        let codes = &mut self.operation().codes;
        codes.retain(|code| *code != Code::UnknownField && !ASKED.contains(code));
        self
    }

    /// What stands in its query, or in its body, and nobody knows is no fault.
    pub(crate) fn passes_over_what_is_unknown(mut self) -> Self {
        let codes = &mut self.operation().codes;
        codes.retain(|code| *code != Code::UnknownField);
        self
    }

    /// Its `{id}` is a task's.
    pub(crate) fn of_task(self) -> Self {
        let id = json!({"$ref": "#/components/schemas/TaskId"});
        self.of("The task's id.", &id)
    }

    /// Its `{id}` is an operation's.
    pub(crate) fn of_operation(self) -> Self {
        let id = self.routes.shapes.reference::<OperationId>();
        self.of("The operation's id.", &id)
    }

    /// Its `{id}` is a worker's name.
    pub(crate) fn of_worker(self) -> Self {
        self.of("The worker's name.", &plain_name())
    }

    /// Its `{name}` is a queue's.
    pub(crate) fn of_queue(self) -> Self {
        self.named("name", "The queue's name.", &text(path_name()))
    }

    fn of(self, description: &str, schema: &Value) -> Self {
        self.named("id", description, schema)
    }

    fn named(mut self, name: &str, description: &str, schema: &Value) -> Self {
        self.operation().parameters.push(json!({
            "name": name, "in": "path", "required": true, "description": description, "schema": schema,
        }));
        self.refuses(&[Code::NotFound])
    }

    /// A parameter of its query, which may be left out.
    pub(crate) fn query(mut self, name: &str, description: &str, schema: &Value) -> Self {
        self.operation().parameters.push(json!({
            "name": name, "in": "query", "description": description, "schema": schema,
        }));
        self.refuses(&[Code::Invalid])
    }

    /// One that may not.
    pub(crate) fn query_that_must_be_there(
        self,
        name: &str,
        description: &str,
        schema: &Value,
    ) -> Self {
        let mut described = self.query(name, description, schema);
        let parameters = &mut described.operation().parameters;
        if let Some(parameter) = parameters.last_mut() {
            parameter["required"] = json!(true);
        }
        described
    }

    /// One of the parameters that several routes take.
    pub(crate) fn takes_parameter(mut self, name: &str) -> Self {
        let reference = format!("#/components/parameters/{name}");
        self.operation().parameters.push(json!({"$ref": reference}));
        self
    }

    /// A body that need not be there, and says nothing.
    pub(crate) fn takes_nothing(self) -> Self {
        let nothing = json!({"type": "object", "additionalProperties": false});
        let example = ("nothing", json!({}));
        self.takes_as(&[("application/json", nothing, &[example])], false)
    }

    /// A JSON body, which must be there.
    pub(crate) fn takes<T: ToSchema>(self, examples: Examples<'_>) -> Self {
        let schema = self.routes.shapes.reference::<T>();
        self.takes_as(&[("application/json", schema, examples)], true)
    }

    /// The same, in one of two forms.
    pub(crate) fn takes_either<T: ToSchema, U: ToSchema>(self, examples: Examples<'_>) -> Self {
        let shapes = &mut *self.routes.shapes;
        let schema = json!({"anyOf": [shapes.reference::<T>(), shapes.reference::<U>()]});
        self.takes_as(&[("application/json", schema, examples)], true)
    }

    /// A body of one of these types, each with its schema and examples.
    pub(crate) fn takes_as(
        mut self,
        types: &[(&str, Value, Examples<'_>)],
        required: bool,
    ) -> Self {
        let content: Map<String, Value> = types
            .iter()
            .map(|(media_type, schema, examples)| {
                let examples: Map<String, Value> = examples
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), json!({"value": value})))
                    .collect();
                let media_type = (*media_type).to_owned();
                (media_type, json!({"schema": schema, "examples": examples}))
            })
            .collect();
        let body = json!({"required": required, "content": content});
        let operation = self.operation();
        operation.value.insert("requestBody".to_owned(), body);
        operation.codes.extend(SENT);
        self
    }

    /// The schema of a list of these, under a name of its own.
    pub(crate) fn list_of<T: ToSchema>(&mut self, name: &'static str) -> Value {
        self.routes.shapes.list_of::<T>(name)
    }

    pub(crate) fn answers<T: ToSchema>(
        self,
        status: u16,
        description: &str,
        example: &Value,
    ) -> Self {
        let schema = self.routes.shapes.reference::<T>();
        self.answers_as(status, description, &schema, example)
    }

    pub(crate) fn answers_nothing(mut self, description: &str) -> Self {
        let answer = json!({
            "description": description,
            "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
        });
        self.operation().answers.insert("204".to_owned(), answer);
        self
    }

    /// One page of a list of these.
    pub(crate) fn answers_page_of<T: ToSchema>(self, description: &str, example: &Value) -> Self {
        self.answers_page_as::<T, Page<T>>(description, example)
    }

    /// The same, where a page tells more than others do.
    pub(crate) fn answers_page_as<T: ToSchema, P: ToSchema>(
        self,
        description: &str,
        example: &Value,
    ) -> Self {
        let schema = self.routes.shapes.page_of::<T, P>();
        self.answers_as(200, description, &schema, example)
            .refuses(&[Code::AnswersFull])
    }

    pub(crate) fn answers_as(
        mut self,
        status: u16,
        description: &str,
        schema: &Value,
        example: &Value,
    ) -> Self {
        let answer = json!({
            "description": description,
            "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
            "content": {"application/json": {"schema": schema, "example": example}},
        });
        self.operation().answers.insert(status.to_string(), answer);
        self
    }

    /// Or lines of JSON where they are asked for, each one of these, the second only as the last. The array is what a
    /// sequential media type stands for (OpenAPI 3.2, 4.14.4): each element is a line.
    pub(crate) fn or_lines_of<T: ToSchema, Last: ToSchema>(mut self, example: &Value) -> Self {
        let shapes = &mut *self.routes.shapes;
        let line = json!({"anyOf": [shapes.reference::<T>(), shapes.reference::<Last>()]});
        let lines = json!({"schema": list(line), "example": example});
        let answer = &mut self.operation().answers.get_mut("200");
        let answer = answer.as_mut().expect("it is described before");
        answer["content"][NDJSON[0]] = lines;
        self
    }

    /// Plain text, of one of these media types.
    pub(crate) fn answers_text(mut self, description: &str, types: &[&str], example: &str) -> Self {
        let content: Map<String, Value> = types
            .iter()
            .map(|media_type| {
                let text = json!({"schema": {"type": "string"}, "example": example});
                ((*media_type).to_owned(), text)
            })
            .collect();
        let answer = json!({
            "description": description,
            "headers": {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}},
            "content": content,
        });
        self.operation().answers.insert("200".to_owned(), answer);
        self
    }

    /// Its answer of this status bears a header that is among [`headers`].
    pub(crate) fn with_header(mut self, status: u16, name: &str) -> Self {
        let answer = &mut self.operation().answers.get_mut(&status.to_string());
        let answer = answer.as_mut().expect("it is described before");
        answer["headers"][name] = json!({"$ref": format!("#/components/headers/{name}")});
        self
    }

    /// What the answer of this status leads to: an operation, and where in the answer stands what it is called
    /// with, by the name of a parameter, or `body/` and that of a field.
    pub(crate) fn leads_to(mut self, status: u16, to: &str, given: &[(&str, &str)]) -> Self {
        let mut link = json!({"operationId": to, "parameters": {}});
        for (name, pointer) in given {
            let value = format!("$response.body#{pointer}");
            match name.strip_prefix("body/") {
                Some(field) => link["requestBody"][field] = json!(value),
                None => link["parameters"][format!("path.{name}")] = json!(value),
            }
        }
        let answer = &mut self.operation().answers.get_mut(&status.to_string());
        let answer = answer.as_mut().expect("it is described before");
        answer["links"][to] = link;
        self
    }

    /// What it refuses by itself, besides what any route of its kind does.
    pub(crate) fn refuses(mut self, codes: &[Code]) -> Self {
        self.operation().codes.extend(codes);
        self
    }
}

impl Operation {
    fn finish(mut self, responses: &mut Map<String, Value>) -> Value {
        let listed = |code: &&Code| self.codes.contains(code);
        let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
        for code in Code::ALL.iter().filter(listed) {
            by_status.entry(code.status()).or_default().push(*code);
        }
        for (status, codes) in by_status {
            let words: Vec<&str> = codes.iter().map(|code| code.word()).collect();
            let name = words.join(".");
            let reference = json!({"$ref": format!("#/components/responses/{name}")});
            responses
                .entry(name)
                .or_insert_with(|| refusal(status, &codes));
            match self.answers.get_mut(&status.to_string()) {
                // A probe answers with 503 itself.
                Some(answer) => {
                    let content = refusal(status, &codes)["content"].take();
                    if let Value::Object(content) = content {
                        for (media_type, problem) in content {
                            answer["content"][media_type] = problem;
                        }
                    }
                }
                None => drop(self.answers.insert(status.to_string(), reference)),
            }
        }
        let value = &mut self.value;
        value.insert("parameters".to_owned(), json!(self.parameters));
        value.insert("responses".to_owned(), json!(self.answers));
        Value::Object(self.value)
    }
}
