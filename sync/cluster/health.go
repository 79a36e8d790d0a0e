package cluster

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/health"
)

// Health tells how each object is, from what the watches know: at rest it makes no request. Closely, the pods
// behind the workloads are watched as well, so that a crash or a failed pull is seen in seconds instead of at a
// deadline, and since when each object has been healthy without a break is told: a break between two passes counts.
func (o *Objects) Health(ctx context.Context, ids []manifests.ID, closely bool) ([]manifests.Health, error) {
	if closely {
		o.cluster.watches.judging(o.sync, o.rules)
	} else {
		o.cluster.watches.settled(o.sync)
	}
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
	look := look{Objects: o, glance: o.cluster.watches.glance(), closely: closely, awaited: hasCustom(ids)}
	reports := make([]manifests.Health, len(ids))
	for i, id := range ids {
		seen, err := look.at(ctx, id)
		if err != nil {
			return nil, err
		}
		seen.ID = id
		if closely {
			seen.Since = later(o.cluster.watches.steady(o.sync, seen.Health, seen.excused), seen.broke)
		}
		reports[i] = o.ignored(seen.Health)
	}
	return reports, nil
}

// Forget lets go of what is watched on a Sync's behalf alone.
func (c *Cluster) Forget(ctx context.Context, objects *Objects) {
	c.watches.Forget(objects.sync)
	c.handover.forget(objects.sync)
	c.rules.forget(objects.sync)
	c.shelf.keep(objects.sync)
	_ = c.pods.attend(ctx, objects.sync, nil) // attending nothing asks nothing, and cannot fail
}

// Drifted tells whether somebody else has changed or deleted objects of this Sync since the last call.
func (o *Objects) Drifted() bool { return o.cluster.watches.Drifted(o.sync) }

// look is one look at the objects of a release.
type look struct {
	*Objects
	glance  glance
	closely bool
	awaited bool // as of a sight
}

// seen is what a look saw of one object.
type seen struct {
	manifests.Health
	broke   time.Time // when a pod of it was last seen to break; zero for never
	excused bool      // it is healthy although it does not say so of itself
}

func (l look) at(ctx context.Context, id manifests.ID) (seen, error) {
	watches := l.cluster.watches
	object, err := l.glance.at(ctx, id)
	if err != nil {
		return seen{}, err
	}
	switch {
	case watches.Stale(id, object):
		return seen{Health: progressing("", "written a moment ago")}, nil
	case object == nil && id.GroupKind() == job && (!l.closely || watches.Finished(id)):
		return seen{Health: manifests.Health{Condition: manifests.Healthy}}, nil // done, and taken away by its TTL
	case object == nil:
		return seen{Health: progressing("NotFound", "it is not in the cluster")}, nil
	}
	u, full := object.(*unstructured.Unstructured)
	if !full {
		return seen{Health: manifests.Health{Condition: manifests.Healthy}}, nil
	}
	report := health.Of(u, l.rules)
	if w, ok := workloadOf(u); ok && l.closely {
		return l.closer(ctx, w, report)
	}
	return seen{Health: report}, nil
}

// closer looks at the pods of a workload's current revision. One that cannot start fails the workload; the others
// say what it is waiting for.
func (l look) closer(ctx context.Context, w workload, report manifests.Health) (seen, error) {
	if !w.isObserved() {
		// Until the controller has seen the change, the pods of the revision before would be taken for the current ones.
		return seen{Health: report}, nil
	}
	pods, err := l.cluster.pods.of(ctx, w)
	if err != nil {
		return seen{}, err
	}
	revision := w.revision(pods)
	if excuse, is := w.scaledUp(pods.memory.completion(w.object.GetUID()), revision); is {
		return seen{Health: excuse, excused: true}, nil
	}
	current := w.current(pods)
	report = l.behind(ctx, w, pods, report)
	if report.Condition == manifests.Healthy && scalable[w.kind] {
		pods.memory.completed(w.object.GetUID(), completion{revision, w.number(1, "spec", "replicas")})
	}
	return seen{Health: report, broke: pods.memory.lastBreak(current)}, nil
}

// behind is the verdict on a workload with what is found behind it.
func (l look) behind(ctx context.Context, w workload, pods podsOf, report manifests.Health) manifests.Health {
	if w.kind == pod && (hopeless[report.Reason] || report.Reason == crashLoop) {
		report = progressing("", "") // more is known here of what may pass, and of what is not to be told
	}
	if report.Condition == manifests.Unhealthy && (w.kind == job || w.kind == pod) {
		return l.explained(ctx, report, pods)
	}
	if report.Condition == manifests.Unhealthy && w.isLateFor(pods.newest) {
		report = progressing("", "its controller has not judged the newest template yet")
	}
	if stale := w.countStale(pods); stale > 0 && report.Condition == manifests.Healthy {
		report = progressing("", fmt.Sprintf("pods of the template before, to be replaced: %d", stale))
	}
	found := w.findings(pods, l.awaited, time.Now())
	for i := range found {
		if found[i].Condition != manifests.Unhealthy {
			continue
		}
		if found[i] = l.doubted(ctx, found[i], pods.memory); found[i].Condition == manifests.Unhealthy {
			return l.cluster.detailed(ctx, found[i], pods.memory).Health
		}
	}
	return waitingFor(report, found)
}

// findings is what is found behind a workload: of its current pods, and of those that cannot be made.
func (w workload) findings(pods podsOf, awaited bool, now time.Time) (found []finding) {
	current := w.current(pods)
	if refusal, is := pods.refusal(w, current, now); is {
		refusal.awaited = awaited
		found = append(found, refusal.finding(now))
	}
	for _, pod := range current {
		s := pods.memory.sight(pod, now)
		s.awaited = awaited
		if of := podHealth(s); !of.crashed || w.kind != job { // how often a Job's pods may fail is for the Job to say
			found = append(found, of)
		}
	}
	return found
}

// waitingFor gives a report that is on its way, or that has waited for too long, the words of what is waited for: those
// with a reason first. It is to be judged again as soon as one of them would.
func waitingFor(report manifests.Health, waiting []finding) manifests.Health {
	var told *finding
	for i, found := range waiting {
		if found.Again > 0 && (report.Again == 0 || found.Again < report.Again) {
			report.Again = found.Again
		}
		if found.Condition == manifests.Progressing && (told == nil || told.Reason == "" && found.Reason != "") {
			told = &waiting[i]
		}
	}
	switch {
	case told == nil || told.Message == "":
		return report
	case report.Condition == manifests.Progressing && report.Reason == "":
		report.Reason = told.Reason
	case report.Condition != manifests.Unhealthy:
		return report
	}
	report.Message = strings.TrimPrefix(report.Message+"; "+told.Message, "; ")
	return report
}

// doubted asks, before a pod that no node takes fails a release, what the watches do not tell: how its claims are, and
// whether an autoscaler makes a node for it.
func (l look) doubted(ctx context.Context, found finding, memory *podMemory) finding {
	if found.Reason != corev1.PodReasonUnschedulable {
		return found
	}
	ctx, cancel := context.WithTimeout(ctx, lastWait)
	defer cancel()
	if !found.unbound {
		return l.cluster.withRoom(ctx, found, memory)
	}
	claims, err := l.cluster.claimStates(ctx, found.pod, memory)
	if err != nil {
		return found
	}
	if verdict := unboundHealth(found.pod.Name, claims); verdict.Message != "" {
		found.Health = verdict
		return found
	}
	found.Condition = manifests.Progressing // they are bound by now
	return found
}

// explained adds to a failure that the workload's controller tells what a pod of it said last.
func (l look) explained(ctx context.Context, report manifests.Health, pods podsOf) manifests.Health {
	pod, container := culprit(pods.pods)
	if pod == nil {
		return report
	}
	s := sight{pod: pod}
	found := finding{Health: report, pod: pod, container: container.Name, crashed: true}
	found.Message = strings.TrimPrefix(fmt.Sprintf("%s; %s: %s", report.Message, s.where(container.Name), lastExit(container)), "; ")
	return l.cluster.detailed(ctx, found, pods.memory).Health
}

func later(a, b time.Time) time.Time {
	if a.IsZero() || a.After(b) {
		return a
	}
	return b
}

func progressing(reason, message string) manifests.Health {
	return manifests.Health{Condition: manifests.Progressing, Reason: reason, Message: message}
}

func namespacesOf(ids []manifests.ID) map[string]bool {
	namespaces := map[string]bool{}
	for _, id := range ids {
		if manifests.IsWorkload(id.GroupKind()) {
			namespaces[id.Namespace] = true
		}
	}
	return namespaces
}

// hasCustom tells whether there are custom resources among objects. Their controllers may make what pods refer to, as
// certificates and secrets from elsewhere.
func hasCustom(ids []manifests.ID) bool {
	for _, id := range ids {
		if strings.Contains(id.Group, ".") && !strings.HasSuffix(id.Group, ".k8s.io") {
			return true
		}
	}
	return false
}
