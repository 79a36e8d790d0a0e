package cluster

import (
	"fmt"
	"slices"
	gosync "sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
	"github.com/belay-gitops/belay/sync/health"
)

// compiled is what Syncs say of their kinds' health, compiled once for each Sync and spec: that costs milliseconds, and
// passes are many.
type compiled struct {
	mu    gosync.Mutex
	known map[types.NamespacedName]ruling
}

// ruling is what came of one list of expressions.
type ruling struct {
	of    []v1alpha1.HealthExpression
	rules health.Rules
	err   error
}

// of is a Sync's rules. An error, which names the entry, leaves it without any.
func (c *compiled) of(sync types.NamespacedName, expressions []v1alpha1.HealthExpression) (health.Rules, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(expressions) == 0 {
		delete(c.known, sync)
		return health.Rules{}, nil
	}
	if known, ok := c.known[sync]; ok && slices.Equal(known.of, expressions) {
		return known.rules, known.err
	}
	list := make([]health.Expression, len(expressions))
	for i, e := range expressions {
		list[i] = health.Expression{APIVersion: e.APIVersion, Kind: e.Kind, Current: e.Current, InProgress: e.InProgress, Failed: e.Failed}
	}
	made := ruling{of: slices.Clone(expressions)}
	var err error
	if made.rules, err = health.Compile(list); err == nil {
		err = unseen(expressions)
	}
	if err != nil {
		made.rules, made.err = health.Rules{}, &Error{Reason: "InvalidExpression", Detail: "spec.health." + err.Error()}
	}
	if c.known == nil {
		c.known = map[types.NamespacedName]ruling{}
	}
	c.known[sync] = made
	return made.rules, made.err
}

// unseen refuses expressions on kinds of which no more than the metadata is watched: they would never be asked.
func unseen(expressions []v1alpha1.HealthExpression) error {
	for i, e := range expressions {
		version, err := schema.ParseGroupVersion(e.APIVersion)
		if err != nil {
			return err
		}
		if statusless[kind{Group: version.Group, Kind: e.Kind}] {
			return fmt.Errorf("expressions[%d].kind: belay watches no more of a %s than its metadata, it is healthy once it is there: take the entry out", i, e.Kind)
		}
	}
	return nil
}

// forget lets go of a Sync's rules.
func (c *compiled) forget(sync types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, sync)
}

// ignored takes what an object means for its release from one that spec.health.ignore names. How it is, is told.
func (o *Objects) ignored(report manifests.Health) manifests.Health {
	if slices.ContainsFunc(o.aside, func(t v1alpha1.Target) bool { return fits(t, report.ID) }) {
		report.Bearing = manifests.None
	}
	return report
}
