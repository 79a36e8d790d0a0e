package cluster

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/belay-gitops/belay/manifests"
)

// Known names the objects that bear this Sync's labels and that belay wrote, of all kinds that the cluster has. It asks
// for each kind, with the agent's rights, and is for when the journal does not tell any more.
func (o *Objects) Known(ctx context.Context) ([]manifests.ID, error) {
	resources, err := o.cluster.deletable()
	if err != nil {
		return nil, describe("asking for the kinds of the cluster", "", err)
	}
	var known []manifests.ID
	for _, r := range resources {
		found, err := o.knownOf(ctx, r)
		if err != nil {
			return nil, describe("listing "+r.Resource, "", err)
		}
		known = append(known, found...)
	}
	return known, nil
}

// deletable is every resource whose objects can be listed and deleted. The groups of an aggregated API that does not
// answer are left out: nothing of theirs can be deleted anyway, and no Sync has to wait for them.
func (c *Cluster) deletable() ([]schema.GroupVersionResource, error) {
	lists, err := c.discovery.ServerPreferredResources()
	if err != nil && !discovery.IsGroupDiscoveryFailedError(err) {
		return nil, err
	}
	lists = discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list", "delete"}}, lists)
	found, err := discovery.GroupVersionResources(lists)
	if err != nil {
		return nil, err
	}
	var resources []schema.GroupVersionResource
	for resource := range found {
		resources = append(resources, resource)
	}
	return resources, nil
}

func (o *Objects) knownOf(ctx context.Context, resource schema.GroupVersionResource) ([]manifests.ID, error) {
	list, err := o.cluster.records.Resource(resource).List(ctx, metav1.ListOptions{LabelSelector: o.selector()})
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || apierrors.IsMethodNotSupported(err) {
		return nil, nil // gone in the meantime, or nothing that anybody could take away
	}
	if err != nil {
		return nil, err
	}
	var known []manifests.ID
	for _, item := range list.Items {
		// Controllers copy labels, a Service's to its EndpointSlices for one: those are theirs.
		if !slices.ContainsFunc(item.ManagedFields, oursOrCreated) {
			continue
		}
		kind, err := o.cluster.mapper.KindFor(resource)
		if err != nil {
			return nil, err
		}
		known = append(known, manifests.ID{Group: kind.Group, Kind: kind.Kind, Namespace: item.Namespace, Name: item.Name})
	}
	return known, nil
}

// oursOrCreated tells an entry of managedFields that is belay's, also of an object that it was only to create.
func oursOrCreated(entry metav1.ManagedFieldsEntry) bool {
	return ours(entry) || entry.Manager == createManager && entry.Subresource == ""
}
