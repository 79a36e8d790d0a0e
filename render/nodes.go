package render

import (
	"regexp"

	"go.yaml.in/yaml/v3"
)

const (
	maxNesting   = 100     // of YAML nodes, aliases expanded
	maxExpansion = 100_000 // nodes that aliases may add to a document
)

// checkNodes refuses a document that nests deeply, that aliases blow up, or that has a key twice. Decoders expand
// aliases: 500 bytes took kustomize past 12 GB.
func checkNodes(file string, root *yaml.Node) error {
	m := measurer{file: file, anchors: map[*yaml.Node]measure{}}
	all, err := m.measure(root, 1)
	if err == nil && all.nodes > m.written+maxExpansion {
		err = m.at(root).fail(TooLarge, "its aliases expand to more than %d nodes", maxExpansion)
	}
	return err
}

// measure is the size of a node with its aliases expanded.
type measure struct{ nodes, height int }

// measurer counts without expanding: an anchor's node is measured once.
type measurer struct {
	file    string
	anchors map[*yaml.Node]measure
	written int // nodes, each alias being one
}

func (m *measurer) at(n *yaml.Node) place { return place{m.file, n.Line} }

func (m *measurer) measure(n *yaml.Node, depth int) (measure, error) {
	m.written++
	whole := measure{nodes: 1, height: 1}
	if n.Kind == yaml.AliasNode {
		target, closed := m.anchors[n.Alias]
		if !closed {
			return whole, m.at(n).fail(InvalidYAML, "the alias is part of what it stands for")
		}
		whole = target
	}
	if depth+whole.height-1 > maxNesting {
		return whole, m.at(n).fail(TooLarge, "nests more than %d levels deep", maxNesting)
	}
	if n.Kind == yaml.MappingNode {
		if err := m.uniqueKeys(n); err != nil {
			return whole, err
		}
	}
	for _, child := range n.Content {
		part, err := m.measure(child, depth+1)
		if err != nil {
			return whole, err
		}
		const plenty = 1 << 40 // far from overflow, and far too much
		whole.nodes = min(whole.nodes+part.nodes, plenty)
		whole.height = max(whole.height, part.height+1)
	}
	if n.Anchor != "" {
		m.anchors[n] = whole
	}
	return whole, nil
}

// uniqueKeys compares keys as they are written: 1 and "1" become the same one in JSON.
func (m *measurer) uniqueKeys(mapping *yaml.Node) error {
	seen := make(map[string]int, len(mapping.Content)/2)
	for i := 0; i < len(mapping.Content); i += 2 {
		key := mapping.Content[i]
		if key.Kind != yaml.ScalarNode || key.Value == "<<" {
			continue
		}
		if first, twice := seen[key.Value]; twice {
			return m.at(key).fail(InvalidYAML, "has %s twice, the first time in line %d", keyName(key.Value), first)
		}
		seen[key.Value] = key.Line
	}
	return nil
}

var fieldName = regexp.MustCompile(`^[\w./-]{1,63}$`)

// keyName quotes a key that looks like a name. Another one may well be a value that lost its place.
func keyName(key string) string {
	if fieldName.MatchString(key) {
		return "the key " + key
	}
	return "a key"
}
