package manifests

import "k8s.io/apimachinery/pkg/runtime/schema"

// Hook says when a Job runs that belongs to each release anew.
type Hook string

// The hooks.
const (
	NoHook     Hook = ""
	HookBefore Hook = "before" // anything else is written
	HookAfter  Hook = "after"  // all else is healthy
)

// Hook is the object's belay.dev/hook.
func (o Object) Hook() Hook { return Hook(o.Annotation(AnnotationHook)) }

// HooksOnRollback tells whether a hook is run for a rollback, too.
func (o Object) HooksOnRollback() bool { return o.Annotation(AnnotationHookOnRollback) == "enabled" }

var job = schema.GroupKind{Group: "batch", Kind: "Job"}
