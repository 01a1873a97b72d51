package lint

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/json"
	k8syaml "sigs.k8s.io/yaml"
)

// object is one Kubernetes object of a file.
type object struct {
	file string
	// first is how many lines of the file are before its document.
	first int
	node  *yaml.Node
	// raw is the object as the API server parses it, and text the same as JSON.
	raw  map[string]any
	text []byte

	apiVersion, kind, namespace, name string
	labels, annotations               map[string]string
}

func (o *object) String() string {
	if o.namespace == "" {
		return strings.TrimSpace(o.kind + " " + o.name)
	}
	return o.kind + " " + o.namespace + "/" + o.name
}

// group returns the API group.
func (o *object) group() string {
	group, _, _ := strings.Cut(o.apiVersion, "/")
	return group
}

// read returns the objects of a file.
func (r *run) read(s Source) (objects []*object) {
	for _, d := range documents(s.Text) {
		var root yaml.Node
		err := yaml.Unmarshal(d.text, &root)
		var text []byte
		if err == nil {
			text, err = k8syaml.YAMLToJSONStrict(d.text)
		}
		if err != nil {
			r.findings = append(r.findings, unreadable(s.Name, d, err))
			continue
		}
		var raw any
		if len(root.Content) == 0 || json.Unmarshal(text, &raw) != nil {
			continue
		}
		objects = append(objects, expand(s.Name, d.first, root.Content[0], raw)...)
	}
	return objects
}

// expand returns the object of a document, or those of a List. A document without a kind is no object.
func expand(file string, first int, node *yaml.Node, raw any) (objects []*object) {
	fields, ok := raw.(map[string]any)
	if !ok || fields["kind"] == nil || fields["apiVersion"] == nil {
		return nil
	}
	if items, ok := fields["items"].([]any); ok && fields["kind"] == "List" {
		list := child(node, "items")
		for i := range items {
			objects = append(objects, expand(file, first, child(list, strconv.Itoa(i)), items[i])...)
		}
		return objects
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return nil
	}
	o := &object{file: file, first: first, node: node, raw: fields, text: text}
	o.apiVersion, o.kind = textOf(fields["apiVersion"]), textOf(fields["kind"])
	meta, _ := fields["metadata"].(map[string]any)
	o.namespace, o.name = textOf(meta["namespace"]), textOf(meta["name"])
	o.labels, o.annotations = texts(meta["labels"]), texts(meta["annotations"])
	return []*object{o}
}

func textOf(value any) string {
	text, _ := value.(string)
	return text
}

func texts(value any) map[string]string {
	fields, _ := value.(map[string]any)
	found := map[string]string{}
	for key, v := range fields {
		found[key] = textOf(v)
	}
	return found
}

// document is a part of a file.
type document struct {
	// first is how many lines are before it.
	first int
	text  []byte
}

// documents splits a file at lines that begin with "---".
func documents(text []byte) (list []document) {
	var current document
	line := 0
	for part := range bytes.Lines(text) {
		line++
		if bytes.HasPrefix(part, []byte("---")) {
			list = append(list, current)
			current = document{first: line}
			continue
		}
		current.text = append(current.text, part...)
	}
	return append(list, current)
}

// lineNumber matches the position in an error of the YAML parser.
var lineNumber = regexp.MustCompile(`\bline (\d+)\b`)

// unreadable returns the finding for a document that cannot be parsed.
func unreadable(file string, d document, err error) Finding {
	line := 1
	message := strings.NewReplacer("error converting YAML to JSON: ", "", "yaml: ", "", "unmarshal errors:\n  ",
		"").Replace(err.Error())
	message = lineNumber.ReplaceAllStringFunc(strings.TrimSpace(strings.ReplaceAll(message, "\n", " ")),
		func(match string) string {
			n, err := strconv.Atoi(strings.TrimPrefix(match, "line "))
			if err != nil {
				return match
			}
			line = n
			return fmt.Sprintf("line %d", d.first+n)
		})
	return Finding{ID: "KL001", Severity: severityOf("KL001"), File: file, Line: d.first + line, Message: message}
}

// lineOf returns the line of a field, such as spec.rules[0].days. If the object does not have the field, it is the
// line of the field around it.
func (o *object) lineOf(field string) int {
	node := o.node
	line := node.Line
	for _, step := range steps(field) {
		key, value := entry(node, step)
		if value == nil {
			break
		}
		node, line = value, key.Line
	}
	return o.first + line
}

// steps splits the path of a field. A key in brackets may contain dots.
func steps(field string) (list []string) {
	for field != "" {
		if inside, ok := strings.CutPrefix(field, "["); ok {
			key, rest, _ := strings.Cut(inside, "]")
			list, field = append(list, key), strings.TrimPrefix(rest, ".")
			continue
		}
		end := strings.IndexAny(field, ".[")
		if end < 0 {
			return append(list, field)
		}
		list, field = append(list, field[:end]), strings.TrimPrefix(field[end:], ".")
	}
	return list
}

// entry returns the node of a field or an item, and the node that its line is that of.
func entry(node *yaml.Node, step string) (key, value *yaml.Node) {
	if node == nil {
		return nil, nil
	}
	switch node.Kind {
	case yaml.AliasNode:
		return entry(node.Alias, step)
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(step); err == nil && i < len(node.Content) {
			return node.Content[i], node.Content[i]
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == step {
				return node.Content[i], node.Content[i+1]
			}
		}
	case yaml.DocumentNode, yaml.ScalarNode:
	}
	return nil, nil
}

func child(node *yaml.Node, step string) *yaml.Node {
	_, value := entry(node, step)
	return value
}
