//! The description of the interface for clients: OpenAPI 3.

use proto::rest::ErrorBody;
use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ArrayBuilder, Components, ComponentsBuilder, ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Content, HttpMethod, InfoBuilder, OpenApiBuilder, Paths, Ref, RefOr, Required, ResponseBuilder, Schema,
};
use utoipa::{IntoParams, ToSchema};

const JSON: &str = "application/json";
const SCHEME: &str = "token";

/// A description in the making.
pub(super) struct Document {
    paths: Paths,
    components: Components,
}

impl Default for Document {
    fn default() -> Self {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An account, volume or metadata token, as the route says"))
            .build();
        let components = ComponentsBuilder::new().security_scheme(SCHEME, SecurityScheme::Http(bearer)).build();
        Self { paths: Paths::new(), components }
    }
}

impl Document {
    /// Begins the description of one operation, which is part of the document when the last word on its answer is said.
    pub(super) fn operation(&mut self, method: &'static str, path: &str, summary: impl Into<String>) -> Operation<'_> {
        let method = match method {
            "get" => HttpMethod::Get,
            "post" => HttpMethod::Post,
            "put" => HttpMethod::Put,
            "delete" => HttpMethod::Delete,
            other => unreachable!("no route of this server has method {other}"),
        };
        let operation = OperationBuilder::new()
            .summary(Some(summary.into()))
            .security(SecurityRequirement::new(SCHEME, [] as [&str; 0]));
        Operation { document: self, method, path: path.to_owned(), operation }
    }

    /// The finished document.
    pub(super) fn into_json(self) -> String {
        let info = InfoBuilder::new()
            .title("flexFS admin server")
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some("Accounts, stores, volumes and tokens. Times are RFC 3339 in UTC."))
            .build();
        let document = OpenApiBuilder::new().info(info).paths(self.paths).components(Some(self.components)).build();
        document.to_json().expect("a document is plain data")
    }

    /// Registers the schema of `T` and those it uses.
    fn reference<T: ToSchema>(&mut self) -> RefOr<Schema> {
        let mut schemas = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut schemas);
        self.components.schemas.extend(schemas);
        Ref::from_schema_name(T::name()).into()
    }
}

/// One operation in the making.
pub(super) struct Operation<'a> {
    document: &'a mut Document,
    method: HttpMethod,
    path: String,
    operation: OperationBuilder,
}

impl Operation<'_> {
    /// Adds the variable parts of the path.
    pub(super) fn key(mut self, parts: &[&str]) -> Self {
        for part in parts {
            let parameter = ParameterBuilder::new()
                .name(*part)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(Some(ObjectBuilder::new().schema_type(Type::String)));
            self.operation = self.operation.parameter(parameter);
        }
        self
    }

    /// Adds query parameters.
    pub(super) fn query<T: IntoParams>(mut self) -> Self {
        self.operation = self.operation.parameters(Some(T::into_params(|| Some(ParameterIn::Query))));
        self
    }

    /// Adds a JSON body.
    pub(super) fn takes<T: ToSchema>(self) -> Self {
        self.takes_schema(|document| document.reference::<T>())
    }

    /// Adds a JSON body that is a list.
    pub(super) fn takes_list_of<T: ToSchema>(self) -> Self {
        self.takes_schema(|document| list_of(document.reference::<T>()))
    }

    fn takes_schema(mut self, schema: impl FnOnce(&mut Document) -> RefOr<Schema>) -> Self {
        let content = Content::new(Some(schema(self.document)));
        let body = RequestBodyBuilder::new().content(JSON, content).required(Some(Required::True)).build();
        self.operation = self.operation.request_body(Some(body));
        self
    }

    /// Ends with an answer in JSON.
    pub(super) fn answers<T: ToSchema>(self, status: u16) {
        self.answers_schema(status, |document| Some(document.reference::<T>()));
    }

    /// Ends with an answer in JSON that is a list.
    pub(super) fn answers_list_of<T: ToSchema>(self, status: u16) {
        self.answers_schema(status, |document| Some(list_of(document.reference::<T>())));
    }

    /// Ends with an answer without a body.
    pub(super) fn answers_nothing(self, status: u16) {
        self.answers_schema(status, |_| None);
    }

    fn answers_schema(self, status: u16, schema: impl FnOnce(&mut Document) -> Option<RefOr<Schema>>) {
        let mut response = ResponseBuilder::new().description("Done");
        if let Some(schema) = schema(self.document) {
            response = response.content(JSON, Content::new(Some(schema)));
        }
        let error = Content::new(Some(self.document.reference::<ErrorBody>()));
        let error = ResponseBuilder::new().description("Not done: the body says why").content(JSON, error);
        let operation = self.operation.response(status.to_string(), response).response("default", error);
        self.document.paths.add_path_operation(&self.path, vec![self.method], operation);
    }
}

fn list_of(item: RefOr<Schema>) -> RefOr<Schema> {
    ArrayBuilder::new().items(item).into()
}
