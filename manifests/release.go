package manifests

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Commit is what people know a commit by.
type Commit struct {
	Hash    string `json:"hash"`
	Author  string `json:"author,omitempty"`
	Subject string `json:"subject,omitempty"`
}

// Release is what one pass deploys, as a value: enough to deploy it again with Git and the registry down.
type Release struct {
	Number int    `json:"number"` // counts up from 1 in each Sync
	Commit Commit `json:"commit"`
	Path   string `json:"path,omitempty"`
	Pins   Pins   `json:"pins,omitempty"`
	// Resolved says of pinned images how they came by their pins. An earlier belay did not write it.
	Resolved map[string]Resolution `json:"resolved,omitempty"`
	// Rendered is the [Set.Digest] of the objects before they were pinned: a later commit that renders to the
	// same takes the same pins.
	Rendered string `json:"rendered"`
	// Options is a digest of the spec that the release was made under; a changed spec makes a refused release
	// worth another try.
	Options string `json:"options"`
	// Objects are what is applied, byte for byte.
	Objects Set `json:"objects"`
	// Owned names what else may be in the cluster on this Sync's behalf: objects of earlier releases that are
	// not confirmed deleted. It is recorded before the first write, so a killed agent orphans nothing.
	Owned []ID `json:"owned,omitempty"`
	// Adopted names those of Objects that were in the cluster before, and nobody's. A rollback lets go of them; it
	// does not delete what it did not bring.
	Adopted []ID `json:"adopted,omitempty"`
	// Done names the Jobs among Objects that an earlier release has run, word for word, and that take themselves away
	// afterwards: they are not run again.
	Done []ID `json:"done,omitempty"`
	// Ailing names those of Objects that had failed before the release came, which does not change them. An earlier
	// belay did not write it.
	Ailing []ID `json:"ailing,omitempty"`
}

// JSON is the release as text, made in one go: what [json.Marshal] is told of objects by an interface, it reads again and
// copies.
func (r Release) JSON() ([]byte, error) {
	return json.Marshal(struct {
		Release
		Objects []map[string]any `json:"objects"` // stands for that of Release
	}{r, r.Objects.contents()})
}

// Resolution says how an image came by its pin.
type Resolution struct {
	// At is when the registry said so; zero where the image had its digest already.
	At time.Time `json:"at,omitzero"`
	// Credentials names those that the registry was shown: `Secret shop/registry`. Empty without any.
	Credentials string `json:"credentials,omitempty"`
	// Release is the one whose pin was taken since the registry was down; else 0.
	Release int `json:"release,omitempty"`
}

// Result is how far a release got.
type Result string

// A release is Applying until it is judged, and at last one of the others.
const (
	Applying       Result = "Applying"
	Kept           Result = "Kept"           // healthy: the target of later rollbacks
	Superseded     Result = "Superseded"     // a newer commit came before the verdict
	RollingBack    Result = "RollingBack"    // refused; the last kept release is being put back
	RolledBack     Result = "RolledBack"     // refused, and the last kept release is healthy again
	RollbackFailed Result = "RollbackFailed" // refused, and the last kept release is not healthy either
	Failed         Result = "Failed"         // refused, with nothing to go back to or rollback disabled
)

// Refused tells the results that hold a release: it is not tried again by itself.
func (r Result) Refused() bool {
	return r.WentBack() || r == Failed
}

// WentBack tells the results that went, or go, back to an earlier release.
func (r Result) WentBack() bool {
	return r == RollingBack || r == RolledBack || r == RollbackFailed
}

// Known tells the results that this belay knows from those of a later one.
func (r Result) Known() bool {
	return r == Applying || r == Kept || r == Superseded || r.Refused()
}

// Record is what the journal knows of a stored release without reading its objects. Everything but Outcome is
// fixed when the release is stored.
type Record struct {
	Number   int
	Commit   Commit
	Rendered string    // of [Release.Rendered]
	Objects  string    // the [Set.Digest] of the pinned objects
	Options  string    // of [Release.Options]
	At       time.Time // when it was stored, by the agent's clock; compared with each other only
	Ailing   []ID      // of [Release.Ailing]
	Outcome  Outcome
}

// Outcome is what became of a release.
type Outcome struct {
	Result  Result        `json:"result"`
	Reason  string        `json:"reason,omitempty"`  // a CamelCase word, where it was refused
	Message string        `json:"message,omitempty"` // what was wrong, naming the object
	Took    time.Duration `json:"took,omitempty"`    // from stored to judged
	// Options is [Release.Options] of the spec that a release was refused under, which may have changed meanwhile.
	Options string `json:"options,omitempty"`
	// Pruned says that everything in [Release.Owned] is confirmed gone.
	Pruned bool `json:"pruned,omitempty"`
	// Healthy says that the release was kept once; people may have gone back from it since.
	Healthy bool `json:"healthy,omitempty"`
	// Watching says that the release, which is kept, is watched on (spec.health.watchFor): it may yet be refused. Of one
	// that has failed it says that this is how.
	Watching bool `json:"watching,omitempty"`
	// To is the release that a refused one was gone back to; 0 where there was none, or where an earlier belay wrote
	// this, which always went to the last one kept.
	To int `json:"to,omitempty"`
	// Request is when people asked for the rollback, as they wrote it; empty where health checks did.
	Request string `json:"request,omitempty"`
	// Past are the releases gone back to before To: their objects may be there as well until Pruned.
	Past []int `json:"past,omitempty"`
	// Left are digests of objects that people have gone back from as well, though not from this release: they are held
	// with it.
	Left []string `json:"left,omitempty"`
	// Unhealthy says that health checks had refused the release before people went further back.
	Unhealthy bool `json:"unhealthy,omitempty"`
	// Suspects are the pins of a refused release that differ from those of the release gone back to, for the same
	// image: what moved, and failed.
	Suspects Pins `json:"suspects,omitempty"`
	// Hooks names the hooks that have run: for the release, or for the rollback where that is under way.
	Hooks []ID `json:"hooks,omitempty"`
	// Thawed says that somebody has asked for a new try since.
	Thawed bool `json:"thawed,omitempty"`
}

// WasKept tells whether the release was healthy once, so that people may go back to it.
func (o Outcome) WasKept() bool { return o.Result == Kept || o.Healthy }

// HasRun tells whether all of the release was done once, its Jobs and hooks as well, even if it was refused afterwards.
func (o Outcome) HasRun() bool { return o.WasKept() || o.Watching }

// Numbers lists releases for a message, the last one first: "7, 6, 4".
func Numbers(records []Record) string {
	var list []string
	for _, r := range slices.Backward(records) {
		list = append(list, strconv.Itoa(r.Number))
	}
	return strings.Join(list, ", ")
}
