// Package cluster is where releases go: it tries objects on the API server, writes and deletes them, tells how
// they are, keeps the releases, and calls when something has changed. It wraps client-go and controller-runtime,
// and leaves every decision to package sync.
//
// Requests are spent where something changes. At rest there are only watches: one for each kind that Syncs own
// objects of, filtered by the owner label ([Watches]), and none on pods but while a release is being judged.
package cluster

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
	"github.com/belay-gitops/belay/sync/health"
)

// FieldManager is the name that belay's server-side applies bear.
const FieldManager = "belay"

// Cluster is a connection to an API server, shared by all Syncs.
type Cluster struct {
	config  *rest.Config
	mapper  meta.RESTMapper
	own     dynamic.Interface // with the agent's rights
	records metadata.Interface
	watches *Watches
	pods    *podWatches

	discovery discovery.DiscoveryInterface
	handover  *handover
	platforms platforms
	rules     compiled
	shelf     shelf
	requested requested
}

// Connect makes a Cluster of a client configuration. Each change to an owned object, or to a pod behind a release
// that is being judged, calls notify with the Sync. It makes no request yet.
func Connect(config *rest.Config, notify func(types.NamespacedName)) (*Cluster, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1 // the API server's priority and fairness limits us, per flow; a client-side limit would only add delay
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("preparing a client: %w", err)
	}
	discovered, err := apiutil.NewDynamicRESTMapper(config, httpClient)
	if err != nil {
		return nil, fmt.Errorf("preparing discovery: %w", err)
	}
	mapper := &rememberingMapper{RESTMapper: discovered}
	own, err := dynamic.NewForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, fmt.Errorf("preparing a client: %w", err)
	}
	records, err := metadata.NewForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, fmt.Errorf("preparing a client: %w", err)
	}
	kinds, err := discovery.NewDiscoveryClientForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, fmt.Errorf("preparing discovery: %w", err)
	}
	watches, err := newWatches(config, mapper, notify)
	if err != nil {
		return nil, err
	}
	return &Cluster{
		config: config, mapper: mapper, own: own, records: records,
		watches: watches, pods: newPodWatches(config, mapper, notify, watches.Owner),
		discovery: kinds, handover: newHandover(notify), platforms: platforms{clock: time.Now},
	}, nil
}

// Start runs the watches until ctx ends.
func (c *Cluster) Start(ctx context.Context) error {
	go c.pods.run(ctx)
	return c.watches.Start(ctx)
}

// Objects is one Sync's view of the cluster: the objects that bear its labels.
type Objects struct {
	cluster   *Cluster
	client    dynamic.Interface  // with the rights of the Sync's service account
	metadata  metadata.Interface // the same, for whom an object's metadata is answer enough
	account   string             // the service account's name; empty for the agent's rights
	sync      types.NamespacedName
	namespace string // overrides the namespace of every object, where it is not empty
	ignore    []v1alpha1.IgnoreRule
	keeps     bool // what has left Git

	rules   health.Rules
	unruled error             // why spec.health.expressions are no rules
	aside   []v1alpha1.Target // what no release is judged by

	// Of the objects that Differing was asked about, for Apply: how to write those that differ, and the API groups that
	// their APIServices lead to.
	approaches map[manifests.ID]approach
	served     map[string]bool
}

// Objects is the view of a Sync, as its spec has it. With a service account (of the Sync's namespace) all requests are
// made in its name, otherwise with the agent's rights. A target namespace overrides that of every namespaced object.
// Health expressions that are wrong are an error of [Objects.Place]; without them what runs is judged as if there were
// none.
func (c *Cluster) Objects(sync types.NamespacedName, spec v1alpha1.Spec) (*Objects, error) {
	objects := &Objects{cluster: c, client: c.own, metadata: c.records, account: spec.Apply.ServiceAccountName, sync: sync, namespace: spec.Apply.TargetNamespace, ignore: spec.Apply.Ignore,
		keeps: !spec.Apply.Prunes(), aside: spec.Health.Ignore}
	objects.rules, objects.unruled = c.rules.of(sync, spec.Health.Expressions)
	serviceAccount := spec.Apply.ServiceAccountName
	if serviceAccount == "" {
		return objects, nil
	}
	config := rest.CopyConfig(c.config)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + sync.Namespace + ":" + serviceAccount,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + sync.Namespace, "system:authenticated"},
	}
	httpClient, err := rest.HTTPClientFor(config)
	if err == nil {
		objects.client, err = dynamic.NewForConfigAndClient(config, httpClient)
	}
	if err == nil {
		objects.metadata, err = metadata.NewForConfigAndClient(config, httpClient)
	}
	if err != nil {
		return nil, fmt.Errorf("preparing to act as service account %s/%s: %w", sync.Namespace, serviceAccount, err)
	}
	return objects, nil
}

// resource is the client for objects of one kind in one namespace.
func (o *Objects) resource(mapping *meta.RESTMapping, namespace string) dynamic.ResourceInterface {
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		return o.client.Resource(mapping.Resource).Namespace(namespace)
	}
	return o.client.Resource(mapping.Resource)
}

// mapping finds the resource of an object, in the version that its manifest is written in.
func (o *Objects) mapping(object manifests.Object) (*meta.RESTMapping, error) {
	gvk := object.GroupVersionKind()
	mapping, err := o.cluster.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		return nil, &Error{Reason: "UnknownKind", Object: object.String(), Temporary: true,
			Detail: fmt.Sprintf("the cluster knows no kind %s in %s; install its CRD, or correct apiVersion and kind", gvk.Kind, gvk.GroupVersion())}
	}
	if err != nil {
		return nil, describe(object.String(), gvk.Kind, err)
	}
	return mapping, nil
}

// selector picks this Sync's objects.
func (o *Objects) selector() string {
	return strings.Join([]string{
		manifests.LabelSync + "=" + o.sync.Name,
		manifests.LabelNamespace + "=" + o.sync.Namespace,
	}, ",")
}

// ownerOf reads the labels that say whose an object is; the zero name when it is nobody's.
func ownerOf(labels map[string]string) types.NamespacedName {
	return types.NamespacedName{Namespace: labels[manifests.LabelNamespace], Name: labels[manifests.LabelSync]}
}

func idOf(u *unstructured.Unstructured) manifests.ID {
	gvk := u.GroupVersionKind()
	return manifests.ID{Group: gvk.Group, Kind: gvk.Kind, Namespace: u.GetNamespace(), Name: u.GetName()}
}
