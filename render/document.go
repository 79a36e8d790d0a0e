package render

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// document is one document of a YAML file.
type document struct {
	place            // where it starts
	root  *yaml.Node // its content
	text  []byte     // from its start to the next one's
}

// empty tells a document that says nothing, or only comments.
func (d document) empty() bool {
	return d.root.Kind == yaml.ScalarNode && d.root.ShortTag() == "!!null"
}

// parse reads a file's documents, none of which is decoded yet, and refuses those that had better not be.
func parse(file string, content []byte) ([]document, error) {
	content = bytes.TrimPrefix(content, []byte("\uFEFF"))
	if !utf8.Valid(content) {
		valid := bytes.ToValidUTF8(content, []byte("\x00"))
		line := 1 + bytes.Count(valid[:bytes.IndexByte(valid, 0)], []byte("\n"))
		return nil, place{file, line}.fail(InvalidYAML, "is not UTF-8")
	}
	documents, err := scan(file, content)
	if simple, ok := plainJSON(content); err != nil && ok {
		return scan(file, simple)
	}
	return documents, err
}

// plainJSON is a JSON document without what YAML does not know of JSON: escaped slashes, halves of characters, tabs
// between values.
func plainJSON(content []byte) (simple []byte, ok bool) {
	if !json.Valid(content) {
		return nil, false
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber() // the digits as they are
	var value any
	if decoder.Decode(&value) != nil {
		return nil, false
	}
	simple, err := json.Marshal(value)
	return simple, err == nil
}

// scan finds the documents of a text that is UTF-8.
func scan(file string, content []byte) ([]document, error) {
	var documents []document
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, syntaxError(place{file, 1}, content, err)
		}
		d := document{place: place{file, node.Line}, root: node.Content[0]}
		if err := checkNodes(file, d.root); err != nil {
			return nil, err
		}
		documents = append(documents, d)
	}
	lines := lineStarts(content)
	for i := range documents {
		end := len(content)
		if i+1 < len(documents) {
			end = lines[documents[i+1].line-1]
		}
		documents[i].text = content[lines[documents[i].line-1]:end]
	}
	return documents, nil
}

// lineStarts is the offset of each line, with the line breaks that a YAML 1.1 scanner knows.
func lineStarts(content []byte) []int {
	starts := []int{0}
	for i, r := range string(content) {
		switch r {
		case '\r':
			if i+1 < len(content) && content[i+1] == '\n' {
				continue
			}
			fallthrough
		case '\n', '\u0085', '\u2028', '\u2029':
			starts = append(starts, i+utf8.RuneLen(r))
		}
	}
	return starts
}
