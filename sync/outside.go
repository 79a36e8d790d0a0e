package sync

import (
	"context"
	"io/fs"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

// Source is where commits come from.
type Source interface {
	// Head tells which commit the followed ref is at, as the remote answered last, or why it did not answer. If that was not
	// asked for since, it is now; without since any answer will do. Seen is when any Sync of this process learned that the
	// ref has come to the commit, not earlier than a few minutes before the answer: what registries have said since is later
	// than the push. Who does not ask is called when there is another answer that concerns it.
	Head(ctx context.Context, since time.Time) (commit string, seen time.Time, err error)
	// Commit tells what people know a commit by, fetching it where it is missing.
	Commit(ctx context.Context, hash string) (manifests.Commit, error)
	// Tree is the files of a commit. What is read of it is noted, for Unchanged.
	Tree(ctx context.Context, hash string) (fs.FS, error)
	// Unchanged tells that all that was read of the last Tree is the same in another commit: the files, the names in the
	// directories that were listed, the symbolic links on the way, and that what was missing is missing still. So nothing
	// else can be built from it. It is false where nothing was read, or where it cannot be told.
	Unchanged(ctx context.Context, commit string) bool
}

// Renderer turns a directory of a tree into objects.
type Renderer interface {
	Build(ctx context.Context, tree fs.FS, dir string) (manifests.Set, error)
}

// Resolver knows registries.
type Resolver interface {
	// Pin answers for every image what to run instead, and how that was found. With an error, which is about images that
	// could not be resolved, it answers for the others.
	Pin(ctx context.Context, request PinRequest) (manifests.Pins, map[string]manifests.Resolution, error)
	// Verify refuses pins that are not signed as rules ask for.
	Verify(ctx context.Context, request PinRequest, pins manifests.Pins, rules []v1alpha1.ImageVerification) error
	// Missing names those of the pinned images, "repo@sha256:…", that their registries do not have any more. Where a
	// registry does not answer that is an error, beside the answer for the others.
	Missing(ctx context.Context, request PinRequest) ([]string, error)
}

// PinRequest is what a [Resolver] is asked about.
type PinRequest struct {
	Images []manifests.Image
	// Own are the objects of the same commit: a pull Secret among them is not in the cluster yet.
	Own manifests.Set
	// Since is how old an answer may be: what a registry has said after it, to any Sync, is taken again.
	Since time.Time
	// Again says that this was asked before and nothing has changed since, so that credentials need not be read anew
	// before a registry refuses them.
	Again bool
}

// Cluster is where objects go. An error that says of itself that it is temporary (see [Problem]) leaves the
// question open; any other is a refusal of the objects.
type Cluster interface {
	// Place gives every object the namespace that it is going to live in.
	Place(ctx context.Context, objects manifests.Set) (manifests.Set, error)
	// Differing lets the API server try each object without writing it, and answers what would change; hooks, which are
	// tried as well, are not among that. An error is about all that it refused. Fields that another manager holds are refused; insist overrules the others, for what
	// was this Sync's before.
	Differing(ctx context.Context, objects manifests.Set, insist bool) (manifests.Changes, error)
	// Apply writes objects side by side, as Differing answered them. An error that is about nothing but what those need that
	// it answers, a webhook or an API that does not answer yet, puts them off: all else is written.
	Apply(ctx context.Context, objects []manifests.Object, insist bool) (putOff []manifests.Object, err error)
	// Delete deletes what is there of ids and belongs to this Sync. Objects that people asked to keep, those that hold
	// data, and those that another Sync wants, are let go of. What it answers counts also with an error.
	Delete(ctx context.Context, ids []manifests.ID) (manifests.Deletion, error)
	// LetGo takes this Sync's labels off what is there of ids; the objects stay.
	LetGo(ctx context.Context, ids []manifests.ID) error
	// Known names the objects that bear this Sync's labels, of all kinds. It costs a request for each kind, and is for when
	// the journal does not tell any more.
	Known(ctx context.Context) ([]manifests.ID, error)
	// RunHooks sees to it that each of jobs has been made for a run, where one that was made for another has to go first, and
	// tells how they are: healthy once complete. It does not wait. So that none is taken away before the journal has noted
	// that it ran, spec.ttlSecondsAfterFinished counts from EndHooks on.
	RunHooks(ctx context.Context, jobs []manifests.Object, run string) ([]manifests.Health, error)
	// EndHooks says that it is noted that hooks have run.
	EndHooks(ctx context.Context, jobs []manifests.Object) error
	// StopHooks deletes those of ids that are hooks, made for another run, and not finished yet. It names those that are
	// there still.
	StopHooks(ctx context.Context, ids []manifests.ID, run string) ([]manifests.ID, error)
	// Reachable is the Syncs named, those that they depend on, and so on, by their full names; what is not there is left
	// out. It makes no request.
	Reachable(ctx context.Context, on []v1alpha1.Dependency) (map[types.NamespacedName]v1alpha1.Sync, error)
	// PassedOver is the newest commit of its ref that was found to change nothing of what another Sync reads, since the
	// commit from, which its status tells as wanted once that is written. Both are empty where there is none. This Sync is
	// called when there is another.
	PassedOver(sync types.NamespacedName) (from, to string)
	// AskToLook has another Sync look at its repository now.
	AskToLook(sync types.NamespacedName)
	// Health tells how each object is, from watches; closely, while a release is judged, with the pods behind the
	// workloads.
	Health(ctx context.Context, ids []manifests.ID, closely bool) ([]manifests.Health, error)
	// ReplacePods deletes the next pod of an older template, where no controller does (see
	// [manifests.ReplacesNoPods]) and it is the turn of one, and pods that hold up a StatefulSet. Back says that the
	// pods to replace are those of a refused release. The pods are those that Health looked at closely.
	ReplacePods(ctx context.Context, ids []manifests.ID, back bool) error
}

// Journal keeps a Sync's releases.
type Journal interface {
	// Records lists the releases, oldest first.
	Records(ctx context.Context) ([]manifests.Record, error)
	// Load reads a release back, checked against its checksum.
	Load(ctx context.Context, number int) (manifests.Release, error)
	// Store writes a release, Applying.
	Store(ctx context.Context, release manifests.Release) error
	// Drop deletes a release.
	Drop(ctx context.Context, number int) error
	// Mark writes what became of a release.
	Mark(ctx context.Context, number int, outcome manifests.Outcome) error
}

// Clock tells the time. Its readings are compared with each other only, so a wrong clock does no harm.
type Clock func() time.Time
