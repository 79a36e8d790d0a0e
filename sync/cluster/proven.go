package cluster

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/manifests"
)

// digest is the first half of a SHA-256.
type digest [16]byte

// proof is that an object was found, or written, as it is wanted: what was wanted, and the marks that it had. While the
// watches see the same marks nobody has changed what belay owns of it, so that what is wanted again needs no request.
//
// The marks are compared with what a watch has, and no event is waited for: whatever comes between the answer of the API
// server and the note of it shows in the marks that the watch has by then.
type proof struct{ wanted, found digest }

// wantedDigest is a digest of all that decides on what is written of an object, beside the live one.
func wantedDigest(content []byte, account string, pointers []string, targeted bool) digest {
	hash := sha256.New()
	rest, _ := json.Marshal([]any{account, pointers, targeted}) // texts can always be written
	hash.Write(rest)
	hash.Write(content)
	return digest(hash.Sum(nil)[:16])
}

// marks is a digest of what tells an object that somebody has meddled with: which one it is, whose it is, and which fields
// are held by belay and by people's hands. Whoever changes a value that belay applied takes its field, but for those who
// write under belay's own name and for admission that changes what others write: a kind that has a generation shows those.
func marks(object metav1.Object) digest {
	owner := ownerOf(object.GetLabels())
	text := fmt.Sprintf("%s\n%s\n%d\n%s", object.GetUID(), owner, object.GetGeneration(), watchedFields(object.GetManagedFields()))
	sum := sha256.Sum256([]byte(text))
	return digest(sum[:16])
}

// evidence is what it takes to note a proof. The zero value notes none.
type evidence struct {
	wanted   digest
	targeted bool // an autoscaler of the same set has it in its care
}

// provable tells whether a change that makes an object differ would show in its marks: belay holds something of it, and no
// autoscaler of other people's decides, who may go without a trace.
func (p evidence) provable(object metav1.Object) bool {
	entries := object.GetManagedFields()
	return p.wanted != digest{} && slices.ContainsFunc(entries, ours) && (p.targeted || !scaled(entries))
}

// proved notes that a Sync's object is as wanted, with the marks that it has.
func (w *Watches) proved(sync types.NamespacedName, id manifests.ID, p evidence, object metav1.Object) {
	if !p.provable(object) {
		w.disproved(sync, id)
		return
	}
	found := marks(object)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.proven[sync] == nil {
		w.proven[sync] = map[manifests.ID]proof{}
	}
	w.proven[sync][id] = proof{p.wanted, found}
}

// disproved forgets what was proved of an object.
func (w *Watches) disproved(sync types.NamespacedName, id manifests.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.proven[sync], id)
}

// proofs is what is proved of those of a Sync's objects that are in a set; of others it is forgotten.
func (w *Watches) proofs(sync types.NamespacedName, set map[manifests.ID]bool) map[manifests.ID]proof {
	w.mu.Lock()
	defer w.mu.Unlock()
	known := make(map[manifests.ID]proof, len(w.proven[sync]))
	for id, p := range w.proven[sync] {
		if set[id] {
			known[id] = p
		} else {
			delete(w.proven[sync], id)
		}
	}
	return known
}

// Doubt forgets all that is proved of a Sync's objects: each is tried again.
func (w *Watches) Doubt(sync types.NamespacedName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.proven, sync)
}

// Doubt has each object of this Sync tried again, also where nobody seems to have changed it.
func (o *Objects) Doubt() { o.cluster.watches.Doubt(o.sync) }
