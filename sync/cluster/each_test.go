// FAULTS, Agent: panic in one pass.
// Panic in one pass: recovered, and that Sync is tried again.

package cluster

import (
	"context"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/belay-gitops/belay/sync/api/v1alpha1"
)

func TestAPanicBesideOthersReachesTheCaller(t *testing.T) {
	done := make([]bool, 20)
	cause := func() (cause any) {
		defer func() { cause = recover() }()
		each(len(done), func(i int) {
			if i == 3 {
				panic("no such index")
			}
			done[i] = true
		})
		return nil
	}()
	text, _ := cause.(string)
	if !strings.HasPrefix(text, "no such index\n") || !strings.Contains(text, "each_test.go") {
		t.Errorf("it panicked with %v", cause)
	}
	for i, d := range done {
		if d == (i == 3) {
			t.Errorf("%d done: %t", i, d)
		}
	}
}

// panicking passes panic, and note what is forgotten.
type panicking struct {
	Passes
	forgotten []types.NamespacedName
}

func (p *panicking) Pass(context.Context, *v1alpha1.Sync, bool) Report { panic("no such index") }

func (p *panicking) Forget(_ context.Context, sync types.NamespacedName) {
	p.forgotten = append(p.forgotten, sync)
}

// found is a client that finds every Sync.
type found struct{ client.Client }

func (found) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	object.SetNamespace(key.Namespace)
	object.SetName(key.Name)
	object.SetFinalizers([]string{v1alpha1.Finalizer})
	return nil
}

func TestWhatIsRememberedIsNotTrustedAfterAPanic(t *testing.T) {
	passes := &panicking{}
	r := &reconciler{client: found{}, passes: passes}
	shop := types.NamespacedName{Namespace: "shop", Name: "shop"}
	cause := func() (cause any) {
		defer func() { cause = recover() }()
		_, _ = r.Reconcile(t.Context(), ctrl.Request{NamespacedName: shop})
		return nil
	}()
	if cause != "no such index" || len(passes.forgotten) != 1 || passes.forgotten[0] != shop {
		t.Errorf("panicked with %v, forgot %v", cause, passes.forgotten)
	}
}
