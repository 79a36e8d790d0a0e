package manifests

// Fault "Apply": a misspelt annotation must not leave unprotected what it is to protect.

import (
	"fmt"
	"testing"
)

func annotated(t *testing.T, annotation, value string) Object {
	t.Helper()
	return object(t, "a.yaml", fmt.Sprintf(`{apiVersion: v1, kind: ConfigMap, metadata: {name: a, annotations: {%s: %q}}}`, annotation, value))
}

func TestAnnotationsSayWhatIsWritten(t *testing.T) {
	for _, test := range []struct {
		annotation, value      string
		leftAlone, createdOnly bool
	}{
		{AnnotationReconcile, "disabled", true, false},
		{AnnotationReconcile, "enabled", false, false},
		{AnnotationSSA, "Ignore", true, false},
		{AnnotationSSA, "IfNotPresent", false, true},
		{"other.dev/ssa", "Ignore", false, false},
	} {
		o := annotated(t, test.annotation, test.value)
		if o.LeftAlone() != test.leftAlone || o.CreatedOnly() != test.createdOnly {
			t.Errorf("%s %s: left alone %t, created only %t", test.annotation, test.value, o.LeftAlone(), o.CreatedOnly())
		}
		if err := o.CheckPolicy(); err != nil {
			t.Errorf("%s %s: %v", test.annotation, test.value, err)
		}
	}
}

func TestValuesThatMeanNothingAreRefused(t *testing.T) {
	for _, test := range []struct{ annotation, value, want string }{
		{AnnotationSSA, "Foo", `belay.dev/ssa: "Foo": write IfNotPresent or Ignore`},
		{AnnotationReconcile, "false", `belay.dev/reconcile: "false": write enabled or disabled`},
		{AnnotationPrune, "no", `belay.dev/prune: "no": write enabled or disabled`},
		{AnnotationForce, "", `belay.dev/force: "": write enabled or disabled`},
		{AnnotationWave, "first", `belay.dev/wave: "first": write a whole number`},
	} {
		if err := annotated(t, test.annotation, test.value).CheckPolicy(); err == nil || err.Error() != test.want {
			t.Errorf("%s %s: got %v, want %s", test.annotation, test.value, err, test.want)
		}
	}
	for _, wave := range []string{"-1", "0", "12"} {
		if err := annotated(t, AnnotationWave, wave).CheckPolicy(); err != nil {
			t.Errorf("wave %s: %v", wave, err)
		}
	}
}
