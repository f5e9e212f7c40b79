{{/* The objects are those of deploy/base, which `deploy/render` copies to files/: templates change what values name. */}}

{{/* The objects of a file, as {objects: [...]}, named after the release and in its namespace. Takes [context, path]. */}}
{{- define "ravelin.objects" -}}
{{- $context := index . 0 -}}
{{- $objects := list -}}
{{- range splitList "\n---\n" ($context.Files.Get (index . 1)) -}}
{{- $object := fromYaml . -}}
{{- include "ravelin.adapt" (list $context $object) -}}
{{- $objects = append $objects $object -}}
{{- end -}}
{{- dict "objects" $objects | toYaml -}}
{{- end -}}

{{/* Names an object after the release, puts it into its namespace, and labels it. Takes [context, object]. */}}
{{- define "ravelin.adapt" -}}
{{- $context := index . 0 -}}
{{- $object := index . 1 -}}
{{- $name := $context.Release.Name -}}
{{- $_ := set $object.metadata "name" (include "ravelin.name" (list $context $object.metadata.name)) -}}
{{- if hasKey $object.metadata "namespace" -}}
{{- $_ := set $object.metadata "namespace" $context.Release.Namespace -}}
{{- end -}}
{{- $labels := include "ravelin.labels" $context | fromYaml -}}
{{- $_ := set $object.metadata "labels" (merge $labels ($object.metadata.labels | default dict)) -}}
{{- with $object.roleRef -}}
{{- $_ := set . "name" (include "ravelin.name" (list $context .name)) -}}
{{- end -}}
{{- range $object.subjects -}}
{{- $_ := set . "name" (include "ravelin.name" (list $context .name)) -}}
{{- $_ := set . "namespace" $context.Release.Namespace -}}
{{- end -}}
{{- end -}}

{{/* A name of the base after the release. Takes [context, name]. */}}
{{- define "ravelin.name" -}}
{{- $context := index . 0 -}}
{{- printf "%s%s" $context.Release.Name (index . 1 | trimPrefix "ravelin") | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "ravelin.labels" -}}
app.kubernetes.io/name: ravelin
app.kubernetes.io/part-of: ravelin
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- end -}}

{{/* The text of ravelin.toml. */}}
{{- define "ravelin.config" -}}
{{- if .Values.config -}}
{{- $parsed := fromToml .Values.config -}}
{{- if hasKey $parsed "Error" -}}
{{- fail (printf "config is not valid TOML: %s" $parsed.Error) -}}
{{- end -}}
{{- $source := $parsed.source | default dict -}}
{{- if ne ($source.kind | default "") "kubernetes" -}}
{{- fail "config: source.kind has to be \"kubernetes\"" -}}
{{- end -}}
{{- $classes := $source.ingress_classes | default (list ($source.ingress_class | default "ravelin")) -}}
{{- if and .Values.ingressClass.create (not (has .Values.ingressClass.name $classes)) -}}
{{- fail (printf "config serves the class %s, and ingressClass.name is %q: set source.ingress_class in config, or ingressClass.create=false" (join ", " $classes | quote) .Values.ingressClass.name) -}}
{{- end -}}
{{- if ne (dig "admin" "socket" "" $parsed) "/run/ravelin/admin.sock" -}}
{{- fail "config: admin.socket has to be \"/run/ravelin/admin.sock\", which the probes ask" -}}
{{- end -}}
{{- if and .Values.namespaces (ne (toJson ($source.namespaces | default list)) (toJson .Values.namespaces)) -}}
{{- fail (printf "config: source.namespaces has to be %s, as in namespaces: elsewhere nothing can be read" (toJson .Values.namespaces)) -}}
{{- end -}}
{{- .Values.config -}}
{{- else -}}
{{- $line := "ingress_class = \"ravelin\"" -}}
{{- $new := printf "ingress_class = %q" .Values.ingressClass.name -}}
{{- if .Values.namespaces -}}
{{- $new = printf "%s\nnamespaces = %s" $new (toJson .Values.namespaces) -}}
{{- end -}}
{{- .Files.Get "files/ravelin.toml" | replace $line $new -}}
{{- end -}}
{{- end -}}

{{/* The hash in the name makes a changed configuration a changed pod, and a roll-back takes it back. */}}
{{- define "ravelin.configName" -}}
{{- printf "%s-%s" .Release.Name (include "ravelin.config" . | sha256sum | trunc 10) -}}
{{- end -}}

{{- define "ravelin.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
