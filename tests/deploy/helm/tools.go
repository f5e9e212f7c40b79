//go:build tools

// Package helm names the command that tests run, so that go.mod can pin its version.
package helm

import (
	_ "helm.sh/helm/v4/cmd/helm"
)
