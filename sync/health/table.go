package health

import (
	"embed"
	"fmt"
	"strings"
	gosync "sync"

	"github.com/google/cel-go/cel"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/belay-gitops/belay/manifests"
)

// table is the kinds that many people run: GROUP.yaml for each API group, read when an object of the group is first
// met. table/README.md says what is in a file.
//
//go:embed table/*.yaml
var table embed.FS

// tableFile is one API group's file.
type tableFile struct {
	// Source says where the meaning of the statuses is documented.
	Source string `json:"source"`
	// Subgroups has the file count for the groups below its own, too: s3.aws.crossplane.io for aws.crossplane.io.
	Subgroups bool        `json:"subgroups,omitempty"`
	Kinds     []tableKind `json:"kinds"`
}

// tableKind is the rules of one or more kinds, and the cases that show that they are right.
type tableKind struct {
	// Kinds by name; "*" is for all that no other entry of the file names.
	Kinds []string    `json:"kinds"`
	Rules []tableRule `json:"rules"`
	// Otherwise is the verdict where no rule holds; without it, the conventions decide.
	Otherwise manifests.Condition `json:"otherwise,omitempty"`
	// AnyGeneration takes a status for good although it is of an older generation.
	AnyGeneration bool        `json:"anyGeneration,omitempty"`
	Cases         []tableCase `json:"cases"`
}

// tableRule is a verdict (a condition, or Paused for Suspended until people go on) and the CEL expression for when it
// is passed. Reason and Message are CEL expressions that give texts; without them, what the status says is found by
// convention.
type tableRule struct {
	Health  string `json:"health"`
	When    string `json:"when"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// tableCase is an object, of the entry's first kind where it does not say otherwise, and its verdict.
type tableCase struct {
	Name    string         `json:"name"`
	Object  map[string]any `json:"object"`
	Health  string         `json:"health"`
	Message string         `json:"message,omitempty"` // part of it
}

// paused is the table's word for an object that waits for people, and has its release wait.
const paused = "Paused"

// verdictOf reads a rule's health.
func verdictOf(word string) (manifests.Health, error) {
	switch condition := manifests.Condition(word); condition {
	case paused:
		return manifests.Health{Condition: manifests.Suspended, Bearing: manifests.Patient}, nil
	case manifests.Healthy, manifests.Progressing, manifests.Unhealthy, manifests.Suspended, manifests.Unknown, manifests.Missing:
		return manifests.Health{Condition: condition}, nil
	}
	return manifests.Health{}, fmt.Errorf("health: %q is no verdict", word)
}

// groups remembers what was read of each file: GROUP → *tableGroup.
var groups gosync.Map

// tableGroup is a file's rules, by kind.
type tableGroup struct {
	kinds     map[string]rules
	subgroups bool
}

// tabled finds the rules of a kind in the table.
func tabled(kind schema.GroupKind) (rules, bool) {
	for group := kind.Group; strings.Contains(group, "."); {
		if file := groupOf(group); file != nil && (group == kind.Group || file.subgroups) {
			if found, ok := file.kinds[kind.Kind]; ok {
				return found, true
			}
			found, ok := file.kinds["*"]
			return found, ok
		}
		_, group, _ = strings.Cut(group, ".")
	}
	return rules{}, false
}

// groupOf reads a group's file once; nil where there is none. A file that cannot be read does not get past the tests.
func groupOf(group string) *tableGroup {
	if known, ok := groups.Load(group); ok {
		return known.(*tableGroup)
	}
	var read *tableGroup
	if text, err := table.ReadFile("table/" + group + ".yaml"); err == nil {
		read, _ = readGroup(text)
	}
	known, _ := groups.LoadOrStore(group, read)
	return known.(*tableGroup)
}

func readGroup(text []byte) (*tableGroup, error) {
	var file tableFile
	if err := yaml.UnmarshalStrict(text, &file); err != nil {
		return nil, err
	}
	group := &tableGroup{kinds: map[string]rules{}, subgroups: file.Subgroups}
	for _, entry := range file.Kinds {
		compiled, err := entry.compile()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", strings.Join(entry.Kinds, ", "), err)
		}
		for _, kind := range entry.Kinds {
			if _, twice := group.kinds[kind]; twice {
				return nil, fmt.Errorf("%s stands there twice", kind)
			}
			group.kinds[kind] = compiled
		}
	}
	return group, nil
}

func (e tableKind) compile() (rules, error) {
	compiled := rules{otherwise: e.Otherwise, anyGeneration: e.AnyGeneration}
	if e.Otherwise != "" {
		if _, err := verdictOf(string(e.Otherwise)); err != nil {
			return rules{}, err
		}
	}
	for i, r := range e.Rules {
		one, err := r.compile()
		if err != nil {
			return rules{}, fmt.Errorf("rules[%d]: %w", i, err)
		}
		compiled.list = append(compiled.list, one)
	}
	return compiled, nil
}

func (r tableRule) compile() (compiled rule, err error) {
	if compiled.health, err = verdictOf(r.Health); err != nil {
		return rule{}, err
	}
	if compiled.when, err = compile(r.When, cel.BoolType); err != nil {
		return rule{}, fmt.Errorf("when: %w", err)
	}
	for _, text := range []struct {
		name, expression string
		into             **expression
	}{{"reason", r.Reason, &compiled.reason}, {"message", r.Message, &compiled.message}} {
		if text.expression == "" {
			continue
		}
		e, err := compile(text.expression, cel.StringType)
		if err != nil {
			return rule{}, fmt.Errorf("%s: %w", text.name, err)
		}
		*text.into = &e
	}
	return compiled, nil
}
