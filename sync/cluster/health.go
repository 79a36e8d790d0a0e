package cluster

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/health"
)

// Health tells how each object is, from what the watches know: at rest it makes no request. Closely, the pods
// behind the workloads are watched as well, so that a crash or a failed pull is seen in seconds instead of at a
// deadline.
func (o *Objects) Health(ctx context.Context, ids []manifests.ID, closely bool) ([]manifests.Health, error) {
	if err := o.cluster.watches.Ensure(ctx, ids); err != nil {
		return nil, err
	}
	var attended map[string]bool
	if closely {
		attended = namespacesOf(ids)
	}
	if err := o.cluster.pods.attend(ctx, o.sync, attended); err != nil {
		return nil, err
	}
	reports := make([]manifests.Health, len(ids))
	for i, id := range ids {
		report, err := o.health(ctx, id, closely)
		if err != nil {
			return nil, err
		}
		report.ID = id
		reports[i] = o.ignored(report)
	}
	return reports, nil
}

// Forget lets go of what is watched on a Sync's behalf alone.
func (c *Cluster) Forget(ctx context.Context, objects *Objects) {
	c.watches.Forget(objects.sync)
	c.handover.forget(objects.sync)
	c.rules.forget(objects.sync)
	_ = c.pods.attend(ctx, objects.sync, nil) // attending nothing asks nothing, and cannot fail
}

// Drifted tells whether somebody else has changed or deleted objects of this Sync since the last call.
func (o *Objects) Drifted() bool { return o.cluster.watches.Drifted(o.sync) }

func (o *Objects) health(ctx context.Context, id manifests.ID, closely bool) (manifests.Health, error) {
	object, err := o.cluster.watches.Get(ctx, id)
	if err != nil {
		return manifests.Health{}, err
	}
	switch {
	case o.cluster.watches.Stale(id, object):
		return progressing("", "written a moment ago"), nil
	case object == nil && id.GroupKind() == job && (!closely || o.cluster.watches.Finished(id)):
		return manifests.Health{Condition: manifests.Healthy}, nil // done, and taken away by its TTL
	case object == nil:
		return progressing("NotFound", "it is not in the cluster"), nil
	}
	u, full := object.(*unstructured.Unstructured)
	if !full {
		return manifests.Health{Condition: manifests.Healthy}, nil
	}
	report := health.Of(u, o.rules)
	if w, ok := workloadOf(u); ok {
		report = w.health(report)
		if closely {
			return o.closer(ctx, w, report)
		}
	}
	return report, nil
}

// closer looks at the pods of a workload's current revision. One that cannot start fails the workload; the others
// say what it is waiting for.
func (o *Objects) closer(ctx context.Context, w workload, report manifests.Health) (manifests.Health, error) {
	if report.Condition == manifests.Unhealthy || !w.isObserved() {
		// Until the controller has seen the change, the pods of the revision before would be taken for the current ones.
		return report, nil
	}
	pods, err := o.cluster.pods.of(ctx, w)
	if err != nil {
		return manifests.Health{}, err
	}
	if stale := w.countStale(pods); stale > 0 && report.Condition == manifests.Healthy {
		report = progressing("", fmt.Sprintf("pods of the template before, to be replaced: %d", stale))
	}
	for _, pod := range w.current(pods) {
		found := podHealth(pod)
		if w.kind == job && found.Reason == crashLoop {
			continue // how often a Job's pods may fail is for the Job to say
		}
		if found.Condition == manifests.Unhealthy {
			return found, nil
		}
		if found.Condition == manifests.Progressing && report.Condition == manifests.Progressing && report.Reason == "" {
			report.Reason, report.Message = found.Reason, report.Message+"; "+found.Message
		}
	}
	return report, nil
}

func progressing(reason, message string) manifests.Health {
	return manifests.Health{Condition: manifests.Progressing, Reason: reason, Message: message}
}

func namespacesOf(ids []manifests.ID) map[string]bool {
	namespaces := map[string]bool{}
	for _, id := range ids {
		if workloadKinds[id.GroupKind()] {
			namespaces[id.Namespace] = true
		}
	}
	return namespaces
}
