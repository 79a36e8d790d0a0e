package cluster

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/manifests"
)

// difference is what applying an object would do.
type difference int

const (
	same    difference = iota // nothing
	differs                   // create or change it
	adopts                    // change one that is there and nobody's
)

// outcome is what came of trying an object.
type outcome struct {
	difference difference
	object     manifests.Object // as it is to be written
	contended  string           // who held fields of it that are taken back
	approach
}

// trial is what trying one object of a set needs to know.
type trial struct {
	*Objects
	*autoscalers
	insist  bool
	live    map[manifests.ID]*unstructured.Unstructured // what was listed
	listed  map[domain]bool
	kinds   map[kind]string // brought by CRDs of the same set
	groups  map[string]bool // brought by APIServices of the same set
	brought map[manifests.ID]bool
	claimed map[manifests.ID]types.NamespacedName // by other Syncs
}

func (o *Objects) trial(objects manifests.Set, insist bool) trial {
	brought := objects.Index()
	return trial{
		Objects: o,
		autoscalers: &autoscalers{
			set: targetsIn(objects), brought: brought, list: o.cluster.autoscalers,
			mine:  func(labels map[string]string) bool { return ownerOf(labels) == o.sync },
			known: map[string]map[manifests.ID]bool{},
		},
		insist: insist, kinds: definitions(objects), groups: servedGroups(objects), brought: brought,
	}
}

// run tries one object.
func (t trial) run(ctx context.Context, object manifests.Object, s sighting) (outcome, error) {
	none := outcome{object: object}
	if object.LeftAlone() {
		return none, nil
	}
	id := object.ID()
	w := write{object: object, insist: t.insist, trial: true, approach: approach{evidence: s.evidence}}
	var err error
	if w.mapping, err = t.mapping(object); err != nil {
		if _, brought := t.kinds[id.GroupKind()]; brought || t.groups[id.Group] {
			return outcome{difference: differs, object: object, approach: w.approach}, nil // it can be tried once its CRD, or its API, is there
		}
		return none, err
	}
	if object.Hook() != manifests.NoHook && s.isThere() {
		return t.hook(ctx, w, true)
	}
	switch s.effort() {
	case needsNothing:
		return none, nil
	case needsRewriting:
		return t.rewritten(ctx, w, s.watched)
	case needsComparing:
		w.seen = true
		return t.over(ctx, w, s.watched.(*unstructured.Unstructured))
	case needsReading:
		return t.afresh(ctx, w)
	}
	return t.absent(ctx, w)
}

// read is this Sync's live object; nil where there is none.
func (t trial) read(ctx context.Context, w write) (*unstructured.Unstructured, error) {
	id := w.object.ID()
	if t.listed[domainOf(id)] {
		return t.live[id], nil
	}
	live, err := t.resource(w.mapping, id.Namespace).Get(ctx, id.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err), apierrors.IsServiceUnavailable(err) && t.groups[id.Group]:
		return nil, nil
	case err != nil:
		return nil, describe(w.object.String(), id.Kind, err)
	case ownerOf(live.GetLabels()) != t.sync:
		return nil, nil
	}
	return live, nil
}

// absent tries an object of which no watch knows one that is this Sync's.
func (t trial) absent(ctx context.Context, w write) (outcome, error) {
	id, none := w.object.ID(), outcome{object: w.object}
	if w.object.CreatedOnly() {
		_, err := t.resource(w.mapping, id.Namespace).Get(ctx, id.Name, metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return none, describe(w.object.String(), id.Kind, err) // it is there, whoever has it
		}
	}
	owner, claimed := t.claimed[id]
	if !claimed {
		owner = t.cluster.watches.Owner(ctx, id)
	}
	if owner.Name != "" && owner != t.sync {
		return none, t.contested(ctx, w.object, owner)
	}
	if w.object.Hook() != manifests.NoHook {
		return t.hook(ctx, w, false)
	}
	return t.anew(ctx, w)
}

// rewritten tries an object that was written last as something else is wanted now, and that nobody has changed since.
func (t trial) rewritten(ctx context.Context, w write, seen client.Object) (outcome, error) {
	result := outcome{difference: differs, object: w.object, approach: w.approach}
	if t.spares(w.object, seen) {
		result.difference = same
		return result, nil
	}
	tried, contended, err := t.patch(ctx, w)
	if err != nil || tried.GetResourceVersion() != seen.GetResourceVersion() {
		return t.afresh(ctx, w) // what can be done about it, or about what the watch is behind with, tells who reads it
	}
	result.contended = contended
	result.entangle(w, tried)
	return result, nil
}

// afresh tries an object over the live one, which has to be read.
func (t trial) afresh(ctx context.Context, w write) (outcome, error) {
	w.seen = false
	live, err := t.read(ctx, w)
	if err != nil {
		return outcome{object: w.object}, err
	}
	if live == nil {
		return t.absent(ctx, w)
	}
	return t.over(ctx, w, live)
}

// entangle notes which fields people have written by hand.
func (o *outcome) entangle(w write, tried metav1.Object) {
	held := holders(tried.GetManagedFields(), w.byHand)
	if held == "" {
		return
	}
	o.entangled = true
	if w.insist {
		o.contended = join(o.contended, held)
	}
}

// anew tries an object of which this Sync has none.
func (t trial) anew(ctx context.Context, w write) (outcome, error) {
	id := w.object.ID()
	result := outcome{difference: differs, object: w.object, approach: w.approach}
	tried, _, err := t.patch(ctx, w)
	// The answer to a creation that is only tried has no version. With one, something is there that is nobody's.
	there := tried != nil && tried.GetResourceVersion() != ""
	if there || apierrors.IsConflict(err) || apierrors.IsInvalid(err) || isOutdated(err) {
		live, getErr := t.resource(w.mapping, id.Namespace).Get(ctx, id.Name, metav1.GetOptions{})
		if getErr == nil {
			return t.adopt(ctx, w, live)
		}
		if !apierrors.IsNotFound(getErr) {
			return result, describe(w.object.String(), id.Kind, getErr)
		}
	}
	switch {
	case apierrors.IsNotFound(err) && t.brought[namespaceID(id.Namespace)]:
		err = t.tryElsewhere(ctx, w, t.sync.Namespace)
	case isUnserved(err) && (t.kinds[id.GroupKind()] != "" || t.groups[id.Group]), t.comes(err, id):
		err = nil // it can be tried once its CRD is there again, or what is to answer for it is
	case apierrors.IsNotFound(err) && t.brought[boundRole(w.object)]:
		err = nil // the API server looks the role up, which is written a tier before
	}
	return result, describe(w.object.String(), id.Kind, err)
}

// adopt tries an object over one that is there and does not bear this Sync's labels.
func (t trial) adopt(ctx context.Context, w write, live *unstructured.Unstructured) (outcome, error) {
	switch owner := ownerOf(live.GetLabels()); {
	case owner == t.sync:
		return t.over(ctx, w, live) // it is not with the watches yet
	case owner.Name != "":
		return outcome{}, t.contested(ctx, w.object, owner)
	}
	// Whoever took the labels off did not make it his: what belay has applied is this Sync's still.
	w.insist = w.insist && !ownFields(live.GetManagedFields()).Empty()
	result, err := t.over(ctx, w, live)
	if result.difference == differs {
		result.difference = adopts
	}
	return result, err
}

// over tries an object over the live one.
func (t trial) over(ctx context.Context, w write, live *unstructured.Unstructured) (outcome, error) {
	result, asked := outcome{object: w.object}, w
	if t.spares(w.object, live) {
		return result, nil
	}
	var err error
	if w.object, w.left, err = t.written(ctx, w.object, live); err != nil {
		return result, err
	}
	w.account, w.whole = leavesAccount(w.object.Unstructured(), live), true
	result.object, result.approach = w.object, w.approach
	tried, contended, err := t.patch(ctx, w)
	switch {
	case w.seen && (err != nil || tried.GetResourceVersion() != live.GetResourceVersion()):
		return t.afresh(ctx, asked) // the watch is behind, or what it has kept is not enough to tell what can be done
	case apierrors.IsInvalid(err):
		return t.overRefused(ctx, w, live, err)
	case isOutdated(err):
		result.difference = differs
		return result, t.tryElsewhere(ctx, w, live.GetNamespace()) // it cannot be tried over the live one before that is mended
	case t.comes(err, w.object.ID()):
		result.difference = differs
		return result, nil
	case err != nil:
		return result, describe(w.object.String(), w.object.ID().Kind, err)
	}
	result.contended = contended
	result.entangle(w, tried)
	now, _ := tried.(*unstructured.Unstructured)
	if result.entangled || !equality.Semantic.DeepEqual(essence(live), essence(now)) {
		result.difference = differs
	} else if marks(live) == marks(now) { // otherwise belay does not hold all of it, and a change may go unnoticed
		t.cluster.watches.proved(t.sync, w.object.ID(), w.evidence, now)
	}
	return result, nil
}

// backend is how the API server names the Service behind a webhook that it could not call.
var backend = regexp.MustCompile(`failed calling webhook .*"https://([^./"]+)\.([^./"]+)\.svc[:/]`)

// comes tells whether an object was refused for what does not answer and comes with the same set: the backend of a webhook,
// or of an API. It is met again when the object is written. If it were refused for that now, nothing would ever come.
func (t trial) comes(err error, id manifests.ID) bool {
	if err == nil {
		return false
	}
	if apierrors.IsServiceUnavailable(err) && t.groups[id.Group] {
		return true
	}
	named := backend.FindStringSubmatch(err.Error())
	return named != nil && t.brought[manifests.ID{Kind: "Service", Namespace: named[2], Name: named[1]}]
}

// spares tells whether people have said, in Git or on the live object, that it is not to be changed.
func (t trial) spares(object manifests.Object, live metav1.Object) bool {
	return object.CreatedOnly() || live.GetAnnotations()[manifests.AnnotationReconcile] == "disabled"
}

// overRefused answers what can be done about an object that the API server does not let be changed as wanted: make it
// anew, where the cause is a field that cannot be changed, or move fields that others put in the way. Whether the
// object itself is valid is found out by trying it under another name.
func (t trial) overRefused(ctx context.Context, w write, live *unstructured.Unstructured, refusal error) (outcome, error) {
	result := outcome{difference: differs, object: w.object, approach: w.approach}
	immutable, causes := immutableCauses(refusal)
	switch {
	case immutable == causes && causes > 0:
		if err := t.recreatable(w.object, live, refusal); err != nil {
			return result, err
		}
		return result, t.tryElsewhere(ctx, w, live.GetNamespace())
	case immutable > 0:
		return result, describe(w.object.String(), w.object.ID().Kind, refusal)
	}
	pick := w.pick(refusal)
	_, movable, err := takeOver(live.GetManagedFields(), pick)
	if err != nil || !movable {
		return result, describe(w.object.String(), w.object.ID().Kind, refusal)
	}
	if w.insist { // it was valid when it was kept
		result.contended = holders(live.GetManagedFields(), pick)
	} else if err := t.tryElsewhere(ctx, w, live.GetNamespace()); err != nil {
		return result, describe(w.object.String(), w.object.ID().Kind, refusal)
	}
	result.entangled = true
	return result, nil
}

func join(texts ...string) string {
	var said []string
	for _, text := range texts {
		if text != "" {
			said = append(said, text)
		}
	}
	return strings.Join(said, "; ")
}

func namespaceID(name string) manifests.ID { return manifests.ID{Kind: "Namespace", Name: name} }

// boundRole is the Role or ClusterRole that a binding refers to; the zero ID for anything but a binding.
func boundRole(object manifests.Object) manifests.ID {
	id := object.ID()
	if id.Group != "rbac.authorization.k8s.io" {
		return manifests.ID{}
	}
	ref, _, _ := unstructured.NestedStringMap(object.Unstructured().Object, "roleRef")
	role := manifests.ID{Group: id.Group, Kind: ref["kind"], Name: ref["name"]}
	if role.Kind == "Role" {
		role.Namespace = id.Namespace
	}
	return role
}

// tryElsewhere tries an object under another name, in a namespace that is there. Only what is wrong with the object
// itself counts there, and not that the live one has what no two can have.
func (t trial) tryElsewhere(ctx context.Context, w write, namespace string) error {
	u := w.object.Unstructured()
	u.SetNamespace(namespace)
	u.SetName("belay-trial-" + rand.String(8))
	_, err := t.resource(w.mapping, namespace).Create(ctx, u, metav1.CreateOptions{
		DryRun: []string{metav1.DryRunAll}, FieldManager: FieldManager, FieldValidation: metav1.FieldValidationStrict,
	})
	if !isInvalidItself(err) {
		return nil
	}
	return describe(w.object.String(), w.object.ID().Kind, err)
}

// isInvalidItself tells whether what was said of an object under another name would be said of it under its own: not that
// the name is not the one that its content asks for, as a CRD's is, nor what the policies of that place have against it.
func isInvalidItself(err error) bool {
	if !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) || strings.Contains(err.Error(), "already allocated") {
		return false
	}
	if reason, _ := class(err); reason == "AdmissionDenied" {
		return false
	}
	causes := causesOf(err)
	aboutName := func(cause metav1.StatusCause) bool { return cause.Field == "metadata.name" }
	return len(causes) == 0 || len(slices.DeleteFunc(slices.Clone(causes), aboutName)) > 0
}
