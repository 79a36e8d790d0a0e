package health

import (
	"fmt"
	"maps"

	"github.com/google/cel-go/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/belay-gitops/belay/manifests"
)

// Expression is what people say of a kind's health, in CEL (https://cel.dev). In this order: InProgress, Failed and
// Current; where none of them is true, the object is on its way.
type Expression struct {
	APIVersion, Kind            string
	Current, InProgress, Failed string
}

// Rules are people's own, compiled. The zero Rules are none.
type Rules struct {
	kinds map[schema.GroupKind]rules
}

// Compile reads expressions. An error names the expression, and what is wrong with it.
func Compile(expressions []Expression) (Rules, error) {
	all := Rules{kinds: map[schema.GroupKind]rules{}}
	for i, e := range expressions {
		version, err := schema.ParseGroupVersion(e.APIVersion)
		if err != nil {
			return Rules{}, fmt.Errorf("expressions[%d].apiVersion: %q is not group/version", i, e.APIVersion)
		}
		kind := schema.GroupKind{Group: version.Group, Kind: e.Kind}
		if _, twice := all.kinds[kind]; twice {
			return Rules{}, fmt.Errorf("expressions[%d]: %s has expressions already: keep one entry", i, kind)
		}
		compiled := rules{otherwise: manifests.Progressing}
		for _, part := range []struct {
			name, when string
			verdict    manifests.Condition
		}{
			{"inProgress", e.InProgress, manifests.Progressing},
			{"failed", e.Failed, manifests.Unhealthy},
			{"current", e.Current, manifests.Healthy},
		} {
			if part.when == "" {
				continue
			}
			when, err := compile(part.when, cel.BoolType)
			if err != nil {
				return Rules{}, fmt.Errorf("expressions[%d].%s: %w", i, part.name, err)
			}
			compiled.list = append(compiled.list, rule{when: when, health: manifests.Health{Condition: part.verdict}})
		}
		all.kinds[kind] = compiled
	}
	return all, nil
}

func (r Rules) of(u *unstructured.Unstructured) (rules, bool) {
	found, ok := r.kinds[u.GroupVersionKind().GroupKind()]
	return found, ok
}

// rules are those of one kind. The first that holds decides.
type rules struct {
	list []rule
	// otherwise is the verdict where none holds; empty for what the conventions say.
	otherwise manifests.Condition
	// anyGeneration takes a status for good although it is of an older generation.
	anyGeneration bool
}

// rule is one verdict, and when it is passed.
type rule struct {
	when            expression
	health          manifests.Health // condition and bearing
	reason, message *expression
}

// judge is the verdict of a kind's rules on an object.
func (r rules) judge(u *unstructured.Unstructured) manifests.Health {
	if !r.anyGeneration && (behind(u) || readyBefore(u)) {
		return r.unseen(u)
	}
	vars := variables(u)
	for _, rule := range r.list {
		if rule.when.holds(vars) {
			return rule.verdict(u, vars)
		}
	}
	if r.otherwise == "" {
		return general(u)
	}
	return inWords(u, manifests.Health{Condition: r.otherwise})
}

// unseen is the verdict on an object whose status is of an older generation. One that is asked to stand still by its spec
// or its annotations alone is Suspended: many controllers do not look at it any more, and so never see the change.
func (r rules) unseen(u *unstructured.Unstructured) manifests.Health {
	asked := &unstructured.Unstructured{Object: maps.Clone(u.Object)}
	delete(asked.Object, "status")
	vars := variables(asked)
	for _, rule := range r.list {
		if rule.health.Condition == manifests.Suspended && rule.when.holds(vars) {
			return rule.verdict(asked, vars)
		}
	}
	return unseen
}

func (r rule) verdict(u *unstructured.Unstructured, vars map[string]any) manifests.Health {
	verdict := r.health
	if r.reason != nil {
		verdict.Reason = r.reason.text(vars)
	}
	if r.message != nil {
		verdict.Message = r.message.text(vars)
	}
	return inWords(u, verdict)
}

// inWords gives a verdict the words that the status has for it, and where it has none, at least says so.
func inWords(u *unstructured.Unstructured, verdict manifests.Health) manifests.Health {
	verdict = told(u, verdict)
	switch {
	case verdict.Condition == manifests.Healthy:
		return verdict
	case verdict.Message == "" && verdict.Condition == manifests.Progressing:
		verdict.Message = "its status does not say yet that it is ready"
	case verdict.Message == "":
		verdict.Message = "its status does not say why"
	}
	if verdict.Reason == "" && verdict.Condition == manifests.Unhealthy {
		verdict.Reason = "Failed"
	}
	return verdict
}
