//! A place in the document for types that are read or written in a form of their own.

/// Implements what `poem_openapi::Object` asks of its fields, from a name and a schema.
///
/// Bodies are read and written with serde, straight from and to bytes; the detour through
/// `serde_json::Value` that `Object` also offers is never taken, so its two methods are inert here.
macro_rules! documented {
    ($type:ty, $name:literal, |$registry:ident| $schema:expr) => {
        impl poem_openapi::types::Type for $type {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn schema_ref() -> poem_openapi::registry::MetaSchemaRef {
                poem_openapi::registry::MetaSchemaRef::Reference($name.to_owned())
            }

            fn register(registry: &mut poem_openapi::registry::Registry) {
                registry.create_schema::<Self, _>($name.to_owned(), |$registry| poem_openapi::registry::MetaSchema {
                    title: Some($name.to_owned()),
                    ..$schema
                });
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl poem_openapi::types::ParseFromJSON for $type {
            fn parse_from_json(_: Option<serde_json::Value>) -> poem_openapi::types::ParseResult<Self> {
                Err(poem_openapi::types::ParseError::custom("read with serde"))
            }
        }

        impl poem_openapi::types::ToJSON for $type {
            fn to_json(&self) -> Option<serde_json::Value> {
                None
            }
        }
    };
}

/// A body that is one of several objects, told apart by one of their fields.
macro_rules! one_of {
    ($type:ty, $name:literal, $description:literal, by $property:literal: $($tag:literal => $variant:ty),+ $(,)?) => {
        documented!($type, $name, |registry| {
            $(<$variant as poem_openapi::types::Type>::register(registry);)+
            poem_openapi::registry::MetaSchema {
                description: Some($description),
                one_of: vec![$(<$variant as poem_openapi::types::Type>::schema_ref()),+],
                discriminator: Some(poem_openapi::registry::MetaDiscriminatorObject {
                    property_name: $property,
                    mapping: vec![$((
                        $tag.to_owned(),
                        format!("#/components/schemas/{}", <$variant as poem_openapi::types::Type>::name()),
                    )),+],
                }),
                ..poem_openapi::registry::MetaSchema::ANY
            }
        });
    };
    ($type:ty, $name:literal, $description:literal, $($variant:ty),+ $(,)?) => {
        documented!($type, $name, |registry| {
            $(<$variant as poem_openapi::types::Type>::register(registry);)+
            poem_openapi::registry::MetaSchema {
                description: Some($description),
                one_of: vec![$(<$variant as poem_openapi::types::Type>::schema_ref()),+],
                ..poem_openapi::registry::MetaSchema::ANY
            }
        });
    };
}

pub(super) use {documented, one_of};
