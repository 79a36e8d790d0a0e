package cluster

import (
	"cmp"
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/belay-gitops/belay/manifests"
)

// PullSecret is a place where pods keep a registry's credentials: a Secret that a pod, or its ServiceAccount, names in
// imagePullSecrets.
type PullSecret struct {
	Source  string // "Secret shop/registry", for people
	Problem string // why it is of no use, empty where Config is there; what the Secret holds is never in it
	Config  []byte // Docker's config.json, or the older .dockercfg
	Legacy  bool   // it is a .dockercfg
}

// PullSecrets answers for each of images, by index, with what its pods may show a registry: the pod's imagePullSecrets
// first, then those of its ServiceAccount. Secrets and ServiceAccounts that come with the same commit, own, count as the
// commit has them, for they are not in the cluster yet; the others, and those that belay leaves as they are, are read with
// the agent's rights, each once. One that is not there, may not be read or is of another type is no error: it is a
// PullSecret with a Problem.
func (c *Cluster) PullSecrets(ctx context.Context, images []manifests.Image, own manifests.Set) ([][]PullSecret, error) {
	reading := pullSecretReading{cluster: c, own: own.Index(), set: own}
	puller := make([]int, len(images)) // of each image, in reading.pullers
	for i, image := range images {
		puller[i] = reading.puller(image)
	}
	accounts, err := reading.accounts(ctx)
	if err != nil {
		return nil, err
	}
	secrets, err := reading.secrets(ctx, accounts)
	if err != nil {
		return nil, err
	}
	found := make([][]PullSecret, len(images))
	for i := range images {
		found[i] = secrets[puller[i]]
	}
	return found, nil
}

// puller is whose credentials an image is pulled with.
type puller struct {
	account manifests.ID
	secrets []manifests.ID
}

// pullSecretReading is one call of PullSecrets.
type pullSecretReading struct {
	cluster *Cluster
	own     map[manifests.ID]bool
	set     manifests.Set
	pullers []puller
}

// puller finds or adds the one of an image.
func (r *pullSecretReading) puller(image manifests.Image) int {
	namespace := image.Object.ID().Namespace
	p := puller{account: manifests.ID{Kind: "ServiceAccount", Namespace: namespace, Name: cmp.Or(image.ServiceAccount, defaultAccount)}}
	for _, name := range image.PullSecrets {
		p.secrets = append(p.secrets, manifests.ID{Kind: "Secret", Namespace: namespace, Name: name})
	}
	same := func(known puller) bool { return known.account == p.account && slices.Equal(known.secrets, p.secrets) }
	if i := slices.IndexFunc(r.pullers, same); i >= 0 {
		return i
	}
	r.pullers = append(r.pullers, p)
	return len(r.pullers) - 1
}

// defaultAccount is the ServiceAccount of a pod that names none. Kubernetes makes it with the namespace.
const defaultAccount = "default"

// pullAccount is what a ServiceAccount adds.
type pullAccount struct {
	secrets []manifests.ID
	problem *PullSecret
	err     error
}

// accounts reads the ServiceAccounts of the pullers.
func (r *pullSecretReading) accounts(ctx context.Context) (map[manifests.ID]pullAccount, error) {
	var ids []manifests.ID
	for _, p := range r.pullers {
		if p.account.Namespace != "" { // what lives in no namespace is run in one that nobody knows
			ids = append(ids, p.account)
		}
	}
	ids = manifests.Union(ids)
	read := make([]pullAccount, len(ids))
	each(len(ids), func(i int) { read[i] = r.account(ctx, ids[i]) })
	accounts := make(map[manifests.ID]pullAccount, len(ids))
	for i, id := range ids {
		if read[i].err != nil {
			return nil, read[i].err
		}
		accounts[id] = read[i]
	}
	return accounts, nil
}

func (r *pullSecretReading) account(ctx context.Context, id manifests.ID) pullAccount {
	own, comes := r.applied(id)
	var named []manifests.ID
	if comes {
		named = pullSecretsOf(own.Unstructured())
	}
	if len(named) > 0 && !own.CreatedOnly() {
		return pullAccount{secrets: named}
	}
	// What others have given it in the cluster stays when it is applied without the field.
	u, problem, err := r.read(ctx, serviceAccounts, id)
	switch {
	case err != nil:
		return pullAccount{err: err}
	case u != nil:
		return pullAccount{secrets: pullSecretsOf(u)}
	case problem.missing && (comes || id.Name == defaultAccount):
		return pullAccount{secrets: named} // it comes, and adds no more
	}
	return pullAccount{problem: &PullSecret{Source: sourceName(id), Problem: problem.text}}
}

// applied is what the commit has of an object, unless that is not applied. One that is created only is not applied either
// where it is there already.
func (r *pullSecretReading) applied(id manifests.ID) (own manifests.Object, comes bool) {
	if !r.own[id] {
		return own, false
	}
	own = r.set.Object(id)
	return own, !own.LeftAlone()
}

// pullSecretsOf are the Secrets that a ServiceAccount names.
func pullSecretsOf(account *unstructured.Unstructured) []manifests.ID {
	list, _, _ := unstructured.NestedSlice(account.Object, "imagePullSecrets")
	var ids []manifests.ID
	for _, item := range list {
		reference, _ := item.(map[string]any)
		if name, _ := reference["name"].(string); name != "" {
			ids = append(ids, manifests.ID{Kind: "Secret", Namespace: account.GetNamespace(), Name: name})
		}
	}
	return ids
}

// secrets reads what each puller may show, in order.
func (r *pullSecretReading) secrets(ctx context.Context, accounts map[manifests.ID]pullAccount) ([][]PullSecret, error) {
	named := make([][]manifests.ID, len(r.pullers))
	for i, p := range r.pullers {
		for _, id := range slices.Concat(p.secrets, accounts[p.account].secrets) {
			if !slices.Contains(named[i], id) {
				named[i] = append(named[i], id)
			}
		}
	}
	ids := manifests.Union(named...)
	read, errs := make(map[manifests.ID]*PullSecret, len(ids)), make([]error, len(ids))
	for _, id := range ids {
		read[id] = &PullSecret{Source: sourceName(id)}
	}
	each(len(ids), func(i int) { errs[i] = r.secret(ctx, ids[i], read[ids[i]]) })
	if err := all(errs); err != nil {
		return nil, err
	}
	found := make([][]PullSecret, len(r.pullers))
	for i, p := range r.pullers {
		for _, id := range named[i] {
			found[i] = append(found[i], *read[id])
		}
		if problem := accounts[p.account].problem; problem != nil {
			found[i] = append(found[i], *problem)
		}
	}
	return found, nil
}
