package main

import (
	"context"
	"errors"
	"slices"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/registry"
	"github.com/belay-gitops/belay/sync"
	"github.com/belay-gitops/belay/sync/cluster"
)

// resolver implements [sync.Resolver] for one Sync: it asks registries with the credentials that the images' pods would
// have. Like the Syncer, it is for one goroutine at a time.
type resolver struct {
	namespace string // the Sync's
	cluster   *cluster.Cluster
	registry  *registry.Resolver
	own       dockerFile // the agent's own credentials

	asked map[string]registry.Query // at the last Pin that was no repetition, with the credentials, by image
}

// Pin implements [sync.Resolver].
func (r *resolver) Pin(ctx context.Context, request sync.PinRequest) (manifests.Pins, map[string]manifests.Resolution, error) {
	asked, known := r.remembered(request.Images)
	if !request.Again || !known {
		return r.pinAnew(ctx, request)
	}
	found, err := r.registry.Resolve(ctx, asked, request.Since)
	if isUnauthorized(err) { // somebody may have mended the Secret meanwhile
		return r.pinAnew(ctx, request)
	}
	return pinsOf(found, err)
}

// pinAnew reads the credentials and remembers them.
func (r *resolver) pinAnew(ctx context.Context, request sync.PinRequest) (manifests.Pins, map[string]manifests.Resolution, error) {
	asked, err := r.queries(ctx, request)
	if err != nil {
		return nil, nil, err
	}
	r.asked = make(map[string]registry.Query, len(asked))
	for _, query := range asked {
		r.asked[query.Image] = query
	}
	return pinsOf(r.registry.Resolve(ctx, asked, request.Since))
}

// remembered is what was asked for images, if all of them were.
func (r *resolver) remembered(images []manifests.Image) ([]registry.Query, bool) {
	var asked []registry.Query
	for _, image := range manifests.ImageNames(images) {
		query, known := r.asked[image]
		if !known {
			return nil, false
		}
		asked = append(asked, query)
	}
	return asked, true
}

// Missing implements [sync.Resolver].
func (r *resolver) Missing(ctx context.Context, request sync.PinRequest) ([]string, error) {
	queries, err := r.queries(ctx, request)
	if err != nil {
		return nil, err
	}
	return r.registry.Missing(ctx, queries, request.Since)
}

// queries are what a request asks for, with the pods' credentials and the agent's own after them.
func (r *resolver) queries(ctx context.Context, request sync.PinRequest) ([]registry.Query, error) {
	queries, err := queries(ctx, r.cluster, request)
	own := r.own.credentials()
	for i := range queries {
		queries[i].Credentials = append(queries[i].Credentials, own...)
	}
	return queries, err
}

// pinsOf is what a registry's answers make of images. They count also with an error.
func pinsOf(found map[string]registry.Resolution, err error) (manifests.Pins, map[string]manifests.Resolution, error) {
	pins, resolved := make(manifests.Pins, len(found)), make(map[string]manifests.Resolution, len(found))
	for image, r := range found {
		pin, invalid := registry.Pinned(image, r.Digest)
		if invalid != nil {
			return nil, nil, invalid
		}
		pins[image], resolved[image] = pin, manifests.Resolution{At: r.At, Credentials: r.Source}
	}
	return pins, resolved, err
}

// queries asks for each distinct image with the credentials of all the pods that use it, one after the other.
func queries(ctx context.Context, c *cluster.Cluster, request sync.PinRequest) ([]registry.Query, error) {
	secrets, err := c.PullSecrets(ctx, request.Images, request.Own)
	if err != nil {
		return nil, err
	}
	return queriesOf(request.Images, secrets), nil
}

// queriesOf joins images, and by index what their pods may show a registry.
func queriesOf(images []manifests.Image, secrets [][]cluster.PullSecret) []registry.Query {
	read := map[string]*registry.Credentials{}
	byImage := map[string][]*registry.Credentials{}
	for i, image := range images {
		list := byImage[image.Image]
		for _, secret := range secrets[i] {
			if read[secret.Source] == nil {
				read[secret.Source] = credentialsOf(secret)
			}
			if !slices.Contains(list, read[secret.Source]) {
				list = append(list, read[secret.Source])
			}
		}
		byImage[image.Image] = list
	}
	var queries []registry.Query
	for _, image := range manifests.ImageNames(images) {
		queries = append(queries, registry.Query{Image: image, Credentials: byImage[image]})
	}
	return queries
}

// credentialsOf reads what a pull Secret holds. One that cannot be read is told when a registry refuses.
func credentialsOf(secret cluster.PullSecret) *registry.Credentials {
	if secret.Problem != "" {
		return registry.Unreadable(secret.Source, secret.Problem)
	}
	parse := registry.DockerConfig
	if secret.Legacy {
		parse = registry.LegacyDockerConfig
	}
	credentials, err := parse(secret.Source, secret.Config)
	if err != nil { // which shows nothing of what is in it
		return registry.Unreadable(secret.Source, why(err, secret.Source))
	}
	return credentials
}

// isUnauthorized tells whether any of the errors joined in one is a refusal of credentials.
func isUnauthorized(err error) bool {
	return slices.ContainsFunc(registryErrors(err), func(e *registry.Error) bool { return e.Reason == registry.Unauthorized })
}

// registryErrors are the errors that a [registry.Resolver] joins, one per image.
func registryErrors(err error) []*registry.Error {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return nil
	}
	var list []*registry.Error
	for _, err := range joined.Unwrap() {
		if e := (*registry.Error)(nil); errors.As(err, &e) {
			list = append(list, e)
		}
	}
	return list
}
