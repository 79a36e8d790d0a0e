package sync

import (
	"context"
	"io/fs"
	"time"

	"github.com/belay-gitops/belay/manifests"
)

// Source is where commits come from.
type Source interface {
	// Head asks the remote which commit the followed ref is at.
	Head(ctx context.Context) (commit string, err error)
	// Commit tells what people know a commit by, fetching it where it is missing.
	Commit(ctx context.Context, hash string) (manifests.Commit, error)
	// Tree is the files of a commit.
	Tree(ctx context.Context, hash string) (fs.FS, error)
}

// Renderer turns a directory of a tree into objects.
type Renderer interface {
	Build(ctx context.Context, tree fs.FS, dir string) (manifests.Set, error)
}

// Resolver pins images to what they are now.
type Resolver interface {
	// Pin answers for every image what to run instead, or fails for all.
	Pin(ctx context.Context, images []string) (manifests.Pins, error)
}

// Cluster is where objects go. An error that says of itself that it is temporary (see [Problem]) leaves the
// question open; any other is a refusal of the objects.
type Cluster interface {
	// Place gives every object the namespace that it is going to live in.
	Place(ctx context.Context, objects manifests.Set) (manifests.Set, error)
	// Differing lets the API server try each object without writing it, and answers those that would change
	// something, and of them those that are there already and nobody's. An error is about all that it refused.
	Differing(ctx context.Context, objects manifests.Set) (differing []manifests.Object, adopted []manifests.ID, err error)
	// Apply writes objects side by side.
	Apply(ctx context.Context, objects []manifests.Object) error
	// Delete deletes what is there of ids and belongs to this Sync, and answers what is not gone yet.
	// Objects that people asked to keep are let go of, and count as gone.
	Delete(ctx context.Context, ids []manifests.ID) (left []manifests.ID, err error)
	// LetGo takes this Sync's labels off what is there of ids; the objects stay.
	LetGo(ctx context.Context, ids []manifests.ID) error
	// Known names the objects that bear this Sync's labels, of the kinds that are watched by now. It is for when the
	// journal cannot be read.
	Known(ctx context.Context) ([]manifests.ID, error)
	// Health tells how each object is, from watches; closely, while a release is judged, with the pods behind the
	// workloads.
	Health(ctx context.Context, ids []manifests.ID, closely bool) ([]manifests.Health, error)
	// ReplacePods deletes the next pod of an older template, where no controller does (see
	// [manifests.ReplacesNoPods]) and it is the turn of one. The pods are those that Health looked at closely.
	ReplacePods(ctx context.Context, ids []manifests.ID) error
}

// Journal keeps a Sync's releases.
type Journal interface {
	// Records lists the releases, oldest first.
	Records(ctx context.Context) ([]manifests.Record, error)
	// Load reads a release back, checked against its checksum.
	Load(ctx context.Context, number int) (manifests.Release, error)
	// Store writes a release, Applying, and lets go of the oldest so that keep are left.
	Store(ctx context.Context, release manifests.Release, keep int) error
	// Mark writes what became of a release.
	Mark(ctx context.Context, number int, outcome manifests.Outcome) error
}

// Clock tells the time. Its readings are compared with each other only, so a wrong clock does no harm.
type Clock func() time.Time
