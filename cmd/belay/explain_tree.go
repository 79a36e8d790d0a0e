package main

import (
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/belay-gitops/belay/manifests"
	"github.com/belay-gitops/belay/sync/api/v1alpha1"
	"github.com/belay-gitops/belay/sync/cluster"
)

// explanation is what `belay explain` shows.
type explanation struct {
	Sync     string            `json:"sync"` // namespace/name
	Phase    string            `json:"phase"`
	Ready    string            `json:"ready"`
	Reason   string            `json:"reason,omitempty"`
	Message  string            `json:"message,omitempty"` // what the agent says: what is waited for, or why it was refused
	Release  int               `json:"release,omitempty"`
	Commit   string            `json:"commit,omitempty"`
	WaitsFor []string          `json:"waitsFor,omitempty"` // the objects that are not as they should be
	Objects  []explainedObject `json:"objects"`
}

// explainedObject is an object in the tree.
type explainedObject struct {
	Group     string              `json:"group,omitempty"`
	Kind      string              `json:"kind"`
	Namespace string              `json:"namespace,omitempty"`
	Name      string              `json:"name"`
	Health    manifests.Condition `json:"health"`
	Reason    string              `json:"reason,omitempty"`
	Message   string              `json:"message,omitempty"`
	Bearing   manifests.Bearing   `json:"bearing,omitempty"`
	Outdated  bool                `json:"outdated,omitempty"` // of an earlier template than its workload's
	Behind    []explainedObject   `json:"behind,omitempty"`
}

func explanationOf(s *v1alpha1.Sync, tree []cluster.Branch) explanation {
	e := explanation{Sync: s.Namespace + "/" + s.Name, Phase: string(s.Status.Phase), Ready: "Unknown", Objects: []explainedObject{}}
	if c := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.Ready); c != nil {
		e.Ready, e.Reason, e.Message = string(c.Status), c.Reason, c.Message
	}
	switch {
	case e.Phase == string(v1alpha1.RollingBack), e.Phase == string(v1alpha1.RolledBack), len(s.Status.History) == 0:
		if s.Status.Deployed != nil {
			e.Release, e.Commit = s.Status.Deployed.Release, s.Status.Deployed.Commit
		}
	default:
		e.Release, e.Commit = s.Status.History[0].Release, s.Status.History[0].Commit
	}
	for _, branch := range tree {
		object := explained(branch)
		e.Objects = append(e.Objects, object)
		if !branch.Health.Good() && !branch.Unread {
			e.WaitsFor = append(e.WaitsFor, object.line())
		}
	}
	return e
}

func explained(b cluster.Branch) explainedObject {
	h := b.Health
	o := explainedObject{
		Group: h.ID.Group, Kind: h.ID.Kind, Namespace: h.ID.Namespace, Name: h.ID.Name,
		Health: h.Condition, Reason: h.Reason, Message: h.Message, Bearing: h.Bearing, Outdated: b.Outdated,
	}
	for _, branch := range b.Branches {
		o.Behind = append(o.Behind, explained(branch))
	}
	return o
}

// line is an object with its health, on one line.
func (o explainedObject) line() string {
	text := o.id().String()
	if o.Outdated {
		text += " (old)"
	}
	text += "  " + string(o.Health)
	if o.Bearing == manifests.None && o.Health != manifests.Healthy {
		text += ", which the release does not wait for"
	}
	for _, part := range []string{o.Reason, oneLine(o.Message)} {
		if part != "" {
			text += ": " + part
		}
	}
	return text
}

func (o explainedObject) id() manifests.ID {
	return manifests.ID{Group: o.Group, Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}
}

// write draws the tree. What is healthy and has nothing behind it is only counted, unless all are wanted.
func (e explanation) write(w io.Writer, all bool) {
	fmt.Fprintf(w, "Sync/%s  %s  Ready=%s", e.Sync, e.Phase, e.Ready)
	if e.Release > 0 {
		fmt.Fprintf(w, "  release %d, commit %s", e.Release, shortHash(e.Commit))
	}
	fmt.Fprintln(w)
	if e.Message != "" {
		fmt.Fprintln(w, "  "+oneLine(e.Message))
	}
	var shown []explainedObject
	for _, o := range e.Objects {
		if all || o.Health != manifests.Healthy || len(o.Behind) > 0 {
			shown = append(shown, o)
		}
	}
	counted := len(e.Objects) - len(shown)
	draw(w, shown, "", counted > 0)
	if counted > 0 {
		fmt.Fprintf(w, "└─ objects with nothing behind them that are healthy: %d\n", counted)
	}
}

// draw draws branches, one line each. More says that others follow.
func draw(w io.Writer, objects []explainedObject, indent string, more bool) {
	for i, o := range objects {
		branch, below := "├─ ", "│  "
		if i == len(objects)-1 && !more {
			branch, below = "└─ ", "   "
		}
		fmt.Fprintln(w, strings.TrimRight(indent+branch+o.line(), " "))
		draw(w, o.Behind, indent+below, false)
	}
}
