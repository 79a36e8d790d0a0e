package main

import (
	"context"
	gosync "sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/belay-gitops/belay/registry"
	"github.com/belay-gitops/belay/sync"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
	"github.com/belay-gitops/belay/sync/cluster"
)

// passes wires what belay is made of: for each Sync a Syncer with its source, journal and view of the cluster.
type passes struct {
	cluster  *cluster.Cluster
	renderer *renderer
	resolver *registry.Resolver
	images   imageSettings
	flags    agentFlags

	sources *sources
	burst   burst

	mu      gosync.Mutex
	syncers map[types.NamespacedName]*syncer
}

// syncer is what is kept of a Sync between passes.
type syncer struct {
	*sync.Syncer
	uid     types.UID
	source  *source
	journal *cluster.Journal
	objects *cluster.Objects
}

func newPasses(c *cluster.Cluster, renderer *renderer, flags agentFlags, images imageSettings) (*passes, error) {
	images.options.Platforms = c.Platforms
	resolver, err := registry.New(images.options)
	if err != nil {
		return nil, err
	}
	sources := newSources(c, flags)
	sources.secret = c.Secret
	c.RefreshBy(sources.refresh)
	return &passes{
		cluster:  c,
		sources:  sources,
		renderer: renderer,
		resolver: resolver,
		images:   images,
		flags:    flags,
		syncers:  map[types.NamespacedName]*syncer{},
	}, nil
}

// Start polls the remotes beside the passes, until ctx ends.
func (p *passes) Start(ctx context.Context) error {
	go p.renderer.pool.Warm() // each Sync is rendered once after a start
	return p.sources.Start(ctx)
}

// Pass implements [cluster.Passes].
func (p *passes) Pass(ctx context.Context, s *v1alpha1.Sync, first bool) cluster.Report {
	defer p.burst.pass()()
	carrier, err := p.syncerFor(s)
	if err != nil {
		return cluster.Report{Status: s.Status, Events: []cluster.Note{{Type: corev1.EventTypeWarning, Reason: "Error", Message: err.Error()}}, Next: time.Minute}
	}
	if first {
		carrier.journal.Begin()
	}
	carrier.journal.Refresh()
	carrier.journal.Expect(expectedOf(s)...)
	if s.Spec.Suspend {
		carrier.source.leave()
	} else {
		carrier.source.begin(s.Spec.Source)
	}
	outcome, want := carrier.pass(ctx, s, p.cluster.Requested(s))
	status := outcome.Status(s.Status, s.Generation, time.Now())
	outcome.Answer(want, &status)
	carrier.source.end(outcome)
	return cluster.Report{Status: status, KeepBack: sync.KeepBack(s.Status, status), Events: notes(outcome.Events), Next: outcome.Next}
}

// pass is one pass, for what was requested at that time, or before it is known when.
func (s *syncer) pass(ctx context.Context, resource *v1alpha1.Sync, requested time.Time) (sync.Outcome, sync.Want) {
	want := sync.WantOf(resource)
	since, asked := s.objects.Asked()
	if want.Look, want.Asked = asked, requested; asked && !requested.IsZero() && since.After(requested) {
		want.Asked = since
	}
	want.Drifted, want.Freed = s.objects.Drifted(), s.objects.Freed()
	if want.Retry {
		s.objects.Doubt()
	}
	return s.Sync(ctx, want), want
}

// removalRetry is when a removal that could not begin is tried again.
const removalRetry = 10 * time.Second

// Remove implements [cluster.Passes].
func (p *passes) Remove(ctx context.Context, s *v1alpha1.Sync) cluster.Report {
	carrier, err := p.syncerFor(s)
	if err == nil {
		carrier.Cluster, err = p.cluster.Leaving(ctx, types.NamespacedName{Namespace: s.Namespace, Name: s.Name}, s.Spec)
	}
	if err != nil {
		return cluster.Report{Status: s.Status, Next: removalRetry}
	}
	carrier.source.leave()
	carrier.journal.Expect(expectedOf(s)...) // where one is lost, what bears the Sync's labels is looked for instead
	next, problem := carrier.Remove(ctx, sync.Want{Spec: s.Spec})
	status := *s.Status.DeepCopy()
	if problem != nil {
		status = problem.Deleting(status, s.Generation, time.Now())
	}
	return cluster.Report{Status: status, Next: next}
}

// Forget implements [cluster.Passes].
func (p *passes) Forget(ctx context.Context, name types.NamespacedName) {
	p.mu.Lock()
	gone := p.syncers[name]
	delete(p.syncers, name)
	p.mu.Unlock()
	if gone != nil {
		gone.source.leave() // first: a poll that still knows it would have it looked after anew
		p.cluster.Forget(ctx, gone.objects)
	}
}

// syncerFor finds or makes a Sync's Syncer, fitted to its present spec.
func (p *passes) syncerFor(s *v1alpha1.Sync) (*syncer, error) {
	name := types.NamespacedName{Namespace: s.Namespace, Name: s.Name}
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.syncers[name]
	if known != nil && known.uid != s.UID { // another of the same name
		known.source.leave()
		known = nil
	}
	if known == nil {
		known = p.newSyncer(name, s)
		p.syncers[name] = known
	}
	objects, err := p.cluster.Objects(name, s.Spec)
	if err != nil {
		return nil, err
	}
	objects.After(known.objects)
	known.objects, known.Cluster = objects, objects
	return known, nil
}

func (p *passes) newSyncer(name types.NamespacedName, s *v1alpha1.Sync) *syncer {
	source := &source{name: name, sources: p.sources}
	owner := metav1.OwnerReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: "Sync", Name: s.Name, UID: s.UID,
	}
	journal := p.cluster.Journal(name, owner)
	return &syncer{
		uid:     s.UID,
		source:  source,
		journal: journal,
		Syncer: &sync.Syncer{
			Namespace: name.Namespace,
			Name:      name.Name,
			Source:    source,
			Renderer:  p.renderer.forSync(),
			Resolver:  &resolver{namespace: name.Namespace, cluster: p.cluster, registry: p.resolver, own: p.images.own},
			Journal:   journal,
			Clock:     time.Now,

			Places:      p.images.places,
			CheckImages: p.flags.registries.checkInterval,
		},
	}
}

func notes(events []sync.Event) []cluster.Note {
	var notes []cluster.Note
	for _, e := range events {
		note := cluster.Note{Type: corev1.EventTypeNormal, Reason: e.Reason, Message: e.Message}
		if e.Warning {
			note.Type = corev1.EventTypeWarning
		}
		notes = append(notes, note)
	}
	return notes
}
