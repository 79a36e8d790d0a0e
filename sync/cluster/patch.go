package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/belay-gitops/belay/manifests"
)

// write is one object on its way to the API server.
type write struct {
	mapping *meta.RESTMapping
	object  manifests.Object
	insist  bool // take back what others hold, whoever they are
	trial   bool // change nothing
	whole   bool // all of the object is asked for, and not its metadata alone
	seen    bool // the live object is the watch's copy, without the whole of its managedFields
	approach
}

// approach is what the live object asks for when it is written.
type approach struct {
	entangled bool             // people wrote fields of it by hand: their ownership has to be moved first
	left      []fieldpath.Path // where fields are that are left to others
	account   []string         // where the pods' spec is, if they are to lose their ServiceAccount: see leavesAccount
	evidence
}

// byHand picks what people wrote with kubectl and is not left to them.
func (w write) byHand(entry metav1.ManagedFieldsEntry) *fieldpath.Set {
	return except(allByHand(entry), w.left)
}

// patch applies an object, server-side. Fields that nobody keeps are taken over: those that kubectl manages, and
// replicas that an autoscaler had which is gone. A conflict with anybody else is an error, unless the write insists;
// contended is whom it had to be with. Applied is an [unstructured.Unstructured] where the whole was asked for.
func (o *Objects) patch(ctx context.Context, w write) (applied metav1.Object, contended string, err error) {
	body, err := w.body()
	if err != nil {
		return nil, "", err
	}
	// A field that is not known is refused whenever something is applied. All that validation adds is to parse the text a
	// second time, for keys that are there twice, which takes a fifth of a request: this text was made of a map.
	options := metav1.PatchOptions{FieldManager: FieldManager, FieldValidation: metav1.FieldValidationIgnore}
	if w.trial {
		options.DryRun = []string{metav1.DryRunAll}
	}
	applied, err = o.send(ctx, w, body, options)
	held, kept := conflicts(err)
	if held == "" || kept && !w.insist {
		return applied, "", err
	}
	force := true
	options.Force = &force
	applied, err = o.send(ctx, w, body, options)
	return applied, held, err
}

// body is an object as it is sent.
func (w write) body() ([]byte, error) {
	if len(w.account) == 0 {
		return w.object.JSON()
	}
	object, err := withoutAccount(w.object.Unstructured().Object, w.account)
	if err != nil {
		return nil, err
	}
	return json.Marshal(object)
}

// send makes one request. The metadata alone spares the API server, and us, most of the answer.
func (o *Objects) send(ctx context.Context, w write, body []byte, options metav1.PatchOptions) (metav1.Object, error) {
	id := w.object.ID()
	if !w.whole {
		var client metadata.ResourceInterface = o.metadata.Resource(w.mapping.Resource)
		if w.mapping.Scope.Name() == meta.RESTScopeNameNamespace {
			client = o.metadata.Resource(w.mapping.Resource).Namespace(id.Namespace)
		}
		applied, err := client.Patch(ctx, id.Name, types.ApplyPatchType, body, options)
		if err != nil {
			return nil, err // and no object, not even the pointer to none
		}
		return applied, nil
	}
	applied, err := o.resource(w.mapping, id.Namespace).Patch(ctx, id.Name, types.ApplyPatchType, body, options)
	if err != nil {
		return nil, err
	}
	return applied, nil
}

// pick is what has to become belay's before an object can be applied that was refused.
func (w write) pick(refusal error) picker {
	if refusal == nil || !w.insist {
		return w.byHand
	}
	var fields []string
	for _, cause := range causesOf(refusal) {
		fields = append(fields, cause.Field)
	}
	pick := inTheWay(w.object.Unstructured().Object, fields)
	return func(entry metav1.ManagedFieldsEntry) *fieldpath.Set { return except(pick(entry), w.left) }
}

// conflicting is how the API server names another field manager in a conflict.
var conflicting = regexp.MustCompile(`^conflict with ("[^"]*")( with subresource "scale")?`)

// conflicts says which managers hold which fields of an object that was not applied for that, for people; kept tells
// whether one of them is to be asked before a field is taken.
func conflicts(err error) (held string, kept bool) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || !apierrors.IsConflict(err) || status.Status().Details == nil {
		return "", false
	}
	var texts []string
	for _, cause := range status.Status().Details.Causes {
		named := conflicting.FindStringSubmatch(cause.Message)
		if cause.Type != metav1.CauseTypeFieldManagerConflict || named == nil {
			return "", true
		}
		texts = append(texts, "manager "+named[1]+" holds "+cause.Field)
		// An autoscaler that is still there has its field: see trial.written.
		gone := named[1] == `"kube-controller-manager"` && named[2] != ""
		kept = kept || !gone && !strings.HasPrefix(named[1], `"kubectl`) && named[1] != `"before-first-apply"`
	}
	return join(texts...), kept
}
