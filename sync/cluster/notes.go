package cluster

import (
	"strconv"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/manifests"
)

// Wrote notes a write of belay's own, for a Sync: the resourceVersion that it gave the object, "" for a delete.
func (w *Watches) Wrote(sync types.NamespacedName, id manifests.ID, resourceVersion string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrote[id] = resourceVersion
	w.judged[sync].broken(id)
	delete(w.finished, id)
	delete(w.finishedBefore, id)
}

// Replacing notes that belay is about to delete an object to make it anew.
func (w *Watches) Replacing(uid types.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.replaced[uid] = true
}

// NotDeleted notes that a delete of belay's own did not come about: the next one is somebody else's.
func (w *Watches) NotDeleted(id manifests.ID, uid types.UID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.wrote[id] == "" {
		delete(w.wrote, id)
	}
	delete(w.replaced, uid)
}

// Finished tells whether a Job was complete when it was last deleted.
func (w *Watches) Finished(id manifests.ID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.finished[id] || w.finishedBefore[id]
}

// Stale tells whether the watches have not caught up with belay's own last write of an object.
func (w *Watches) Stale(id manifests.ID, object client.Object) bool {
	w.mu.Lock()
	written, ours := w.wrote[id]
	w.mu.Unlock()
	return ours && written != "" && (object == nil || older(object.GetResourceVersion(), written))
}

// older compares resource versions, which are ordered since Kubernetes 1.35 and were so in practice before. Those
// that are no numbers count as older when they differ.
func older(a, b string) bool {
	x, errX := strconv.ParseUint(a, 10, 64)
	y, errY := strconv.ParseUint(b, 10, 64)
	if errX != nil || errY != nil {
		return a != b
	}
	return x < y
}
