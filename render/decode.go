package render

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	sigsyaml "sigs.k8s.io/yaml"
)

// decode reads a document as kubectl does: YAML 1.1, through JSON, whole numbers as int64. The text is that JSON.
func (d document) decode() (content map[string]any, text []byte, err error) {
	if d.root.Kind != yaml.MappingNode {
		return nil, nil, d.fail(InvalidYAML, "is not an object: want fields such as apiVersion and kind")
	}
	if content, text, ok := d.obvious(); ok {
		return content, text, nil
	}
	if text, err = sigsyaml.YAMLToJSON(d.text); err != nil {
		return nil, nil, syntaxError(d.place, d.text, err)
	}
	if err := utiljson.Unmarshal(text, &content); err != nil {
		return nil, nil, d.fail(InvalidYAML, "cannot be written as JSON")
	}
	return content, text, nil
}

// obvious is what kubectl makes of a document that says the same in YAML 1.1 and 1.2, which most do. The nodes are there,
// so that it need not be parsed a second time.
func (d document) obvious() (content map[string]any, text []byte, ok bool) {
	if maybeTag.Match(d.text) {
		return nil, nil, false
	}
	content, ok = obviousMapping(d.root)
	if !ok {
		return nil, nil, false
	}
	text, err := json.Marshal(content)
	return content, text, err == nil
}

// maybeTag finds tags, and more: the nodes do not tell one that is only an exclamation mark.
var maybeTag = regexp.MustCompile(`(?:^|[\s\[{,:?-])!`)

func obviousMapping(n *yaml.Node) (map[string]any, bool) {
	if !isBare(n) {
		return nil, false
	}
	content := make(map[string]any, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		key, ok := obviousValue(n.Content[i])
		name, isText := key.(string)
		if !ok || !isText || name == "<<" {
			return nil, false
		}
		if content[name], ok = obviousValue(n.Content[i+1]); !ok {
			return nil, false
		}
	}
	return content, true
}

func obviousValue(n *yaml.Node) (any, bool) {
	switch {
	case !isBare(n):
		return nil, false
	case n.Kind == yaml.MappingNode:
		return obviousMapping(n)
	case n.Kind == yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			var ok bool
			if list[i], ok = obviousValue(item); !ok {
				return nil, false
			}
		}
		return list, true
	case n.Kind == yaml.ScalarNode && n.Style == 0:
		return obviousPlain(n.Value)
	case n.Kind == yaml.ScalarNode:
		return n.Value, true
	}
	return nil, false
}

// isBare tells a node without tag and anchor.
func isBare(n *yaml.Node) bool { return n.Anchor == "" && n.Style&yaml.TaggedStyle == 0 }

var (
	obviousNumber = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,17})$`)
	quantity      = regexp.MustCompile(`^[0-9]{1,9}(m|k|M|G|T|Ki|Mi|Gi|Ti|s|h|d|%)$`)
	option        = regexp.MustCompile(`^--?[A-Za-z]`)
)

// obviousPlain is what a text without quotes stands for.
func obviousPlain(text string) (any, bool) {
	switch text {
	case "", "~", "null":
		return nil, true
	case "true", "false":
		return text == "true", true
	}
	// Go's parser of YAML 1.1 looks for more than texts after these (resolveTable in go.yaml.in/yaml/v2).
	switch first := text[0]; {
	case strings.IndexByte("-0123456789", first) >= 0 && obviousNumber.MatchString(text):
		number, err := strconv.ParseInt(text, 10, 64)
		return number, err == nil
	case strings.IndexByte("0123456789", first) >= 0 && quantity.MatchString(text):
		return text, true
	case option.MatchString(text):
		return text, true
	case strings.IndexByte("+-.0123456789~<=", first) >= 0:
		return nil, false
	case strings.IndexByte("yYnNtTfFoO", first) >= 0 && len(text) <= len("false"):
		return text, !isWord[strings.ToLower(text)]
	}
	return text, true
}

// isWord has the words that mean a value in YAML 1.1, in some spelling.
var isWord = map[string]bool{"y": true, "yes": true, "on": true, "true": true, "n": true, "no": true, "off": true, "false": true, "null": true}
