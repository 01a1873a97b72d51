package v1alpha1

const (
	// SchemaVersion is the version of the schemas of all kinds. It is raised with the first change of a schema after a
	// release. A program needs CustomResourceDefinitions of its own version or a newer one.
	SchemaVersion = 1
	// AnnotationSchemaVersion of a CustomResourceDefinition holds the version of its schema.
	AnnotationSchemaVersion = "kuberik.com/schema-version"
	// AnnotationAllowSchemaDowngrade of a CustomResourceDefinition, with the value "true", lets an older schema replace a
	// newer one.
	AnnotationAllowSchemaDowngrade = "kuberik.com/allow-schema-downgrade"
)
