package cluster

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/health"
)

// steadiness is since when the objects of a Sync have been healthy without a break, as the watches see every change of
// them and not as passes do. It is kept while a release is judged.
type steadiness struct {
	rules health.Rules
	since map[manifests.ID]time.Time
	// excused objects are healthy although they do not look so: their passes alone decide.
	excused map[manifests.ID]bool
}

// judging begins, or goes on, to note how a Sync's objects are.
func (w *Watches) judging(sync types.NamespacedName, rules health.Rules) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.judged[sync]
	if s == nil {
		s = &steadiness{since: map[manifests.ID]time.Time{}, excused: map[manifests.ID]bool{}}
		w.judged[sync] = s
	}
	s.rules = rules
}

// settled ends it.
func (w *Watches) settled(sync types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.judged, sync)
}

// noticed takes in how an object is by now.
func (w *Watches) noticed(object client.Object) {
	sync := ownerOf(object.GetLabels())
	w.mu.Lock()
	s := w.judged[sync]
	var rules health.Rules
	if s != nil {
		rules = s.rules
	}
	w.mu.Unlock()
	if s == nil {
		return
	}
	id, good := watchedID(object), true
	if u, full := object.(*unstructured.Unstructured); full {
		good = health.Of(u, rules).Good()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if good || !s.excused[id] {
		s.is(id, good, time.Now())
	}
}

// steady takes in what a pass found of an object, and answers since when it has been healthy; zero where it is not.
func (w *Watches) steady(sync types.NamespacedName, report manifests.Health, excused bool) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.judged[sync]
	if s == nil {
		return time.Time{}
	}
	if excused {
		s.excused[report.ID] = true
	} else {
		delete(s.excused, report.ID)
	}
	return s.is(report.ID, report.Good(), time.Now())
}

func (s *steadiness) is(id manifests.ID, good bool, now time.Time) time.Time {
	if !good {
		delete(s.since, id)
		return time.Time{}
	}
	if s.since[id].IsZero() {
		s.since[id] = now
	}
	return s.since[id]
}

// broken notes that an object has been written, or is gone: how it was before says nothing of how it is.
func (s *steadiness) broken(id manifests.ID) {
	if s != nil {
		delete(s.since, id)
	}
}
