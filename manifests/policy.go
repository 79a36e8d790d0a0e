package manifests

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// LeftAlone tells whether an object's annotations want it neither written nor tried.
func (o Object) LeftAlone() bool {
	return o.Annotation(AnnotationReconcile) == "disabled" || o.Annotation(AnnotationSSA) == "Ignore"
}

// CreatedOnly tells whether an object is to be created where it is absent, and never changed.
func (o Object) CreatedOnly() bool { return o.Annotation(AnnotationSSA) == "IfNotPresent" }

// policies are the values that belay's annotations on objects may have.
var policies = []struct {
	annotation string
	values     []string
}{
	{AnnotationForce, []string{"enabled", "disabled"}},
	{AnnotationHook, []string{string(HookBefore), string(HookAfter)}},
	{AnnotationHookOnRollback, []string{"enabled", "disabled"}},
	{AnnotationPrune, []string{"enabled", "disabled"}},
	{AnnotationReconcile, []string{"enabled", "disabled"}},
	{AnnotationResolve, []string{"enabled", "disabled"}},
	{AnnotationSSA, []string{"IfNotPresent", "Ignore"}},
}

// CheckPolicy refuses belay's annotations with values that mean nothing: what somebody wanted to protect would be
// written, or deleted, for a misspelling.
func (o Object) CheckPolicy() error {
	for _, p := range policies {
		if value, ok := o.annotation(p.annotation); ok && !slices.Contains(p.values, value) {
			return fmt.Errorf("%s: %q: write %s", p.annotation, value, strings.Join(p.values, " or "))
		}
	}
	if hook := o.Hook(); hook != NoHook && o.id.GroupKind() != job {
		return fmt.Errorf("%s: %s: a hook is a Job", AnnotationHook, hook)
	} else if hook != NoHook && o.CreatedOnly() {
		return fmt.Errorf("%s: %s: a hook is made anew for each release: leave %s out", AnnotationHook, hook, AnnotationSSA)
	}
	if wave, ok := o.annotation(AnnotationWave); ok {
		if _, err := strconv.Atoi(wave); err != nil {
			return fmt.Errorf("%s: %q: write a whole number", AnnotationWave, wave)
		}
	}
	return nil
}
