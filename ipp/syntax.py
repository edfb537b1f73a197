"""Which tag an attribute's values have: nothing is ever sent with a guessed one.

Sources: RFC 8011, RFC 3995, RFC 3996, PWG 5100.1 to 5100.13, 5101.1.
"""

from __future__ import annotations

from ipp.codec import Tag

_NAMES: dict[Tag, str] = {
    Tag.INTEGER: """
        copies copies-default document-number first-index impressions impressions-completed ippget-event-life
        job-cancel-after job-cancel-after-default job-id job-ids job-impressions job-impressions-completed
        job-k-octets job-k-octets-processed job-media-sheets job-media-sheets-completed job-password-supported
        job-printer-up-time job-priority job-priority-default job-priority-supported k-octets k-octets-processed
        last-document-number limit media-bottom-margin media-bottom-margin-supported media-left-margin
        media-left-margin-supported media-right-margin media-right-margin-supported media-sheets
        media-sheets-completed media-top-margin media-top-margin-supported multiple-operation-time-out
        notify-get-interval notify-job-id notify-lease-duration notify-lease-duration-default
        notify-lease-expiration-time notify-max-events-supported notify-printer-up-time notify-sequence-number
        notify-sequence-numbers notify-subscription-id notify-subscription-ids notify-time-interval
        notify-wait-seconds number-of-documents number-of-intervening-jobs number-up number-up-default
        number-up-supported pages-completed pages-per-minute pages-per-minute-color predecessor-job-id
        printer-config-change-time printer-impressions-completed printer-media-sheets-completed
        printer-pages-completed printer-state-change-time printer-up-time queued-job-count time-at-completed
        time-at-creation time-at-processing x-dimension y-dimension
    """,
    Tag.BOOLEAN: """
        color-supported ipp-attribute-fidelity job-account-id-supported job-accounting-user-id-supported
        job-ids-supported last-document multiple-document-jobs-supported my-jobs my-subscriptions notify-wait
        page-ranges-supported preferred-attributes-supported printer-dns-sd-name-conflict
        printer-is-accepting-jobs
    """,
    Tag.ENUM: """
        document-state finishings finishings-default finishings-supported job-state notify-status-code
        operations-supported orientation-requested orientation-requested-default orientation-requested-supported
        print-quality print-quality-default print-quality-supported printer-state
    """,
    Tag.OCTET_STRING: """
        job-password notify-user-data printer-alert printer-firmware-version printer-input-tray
        printer-output-tray printer-supply
    """,
    Tag.DATE_TIME: """
        date-time-at-completed date-time-at-creation date-time-at-processing job-hold-until-time
        notify-printer-date-time printer-config-change-date-time printer-current-time
        printer-state-change-date-time
    """,
    Tag.RESOLUTION: """
        printer-resolution printer-resolution-default printer-resolution-supported
        pwg-raster-document-resolution-supported
    """,
    Tag.RANGE: """
        copies-supported job-cancel-after-supported job-impressions-supported job-k-octets-supported
        job-media-sheets-supported notify-lease-duration-supported page-ranges
    """,
    Tag.BEGIN_COLLECTION: """
        job-constraints-supported job-presets-supported job-resolvers-supported job-sheets-col media-col
        media-col-database media-col-default media-col-ready media-size media-size-supported overrides
        printer-contact-col printer-xri-supported proof-print
    """,
    Tag.TEXT: """
        document-message document-state-message job-detailed-status-messages job-message-from-operator
        job-message-to-operator job-state-message message notify-text printer-alert-description
        printer-charge-info printer-device-id printer-firmware-name printer-firmware-string-version printer-info
        printer-location printer-make-and-model printer-message-from-operator printer-organization
        printer-organizational-unit printer-state-message printer-supply-description status-message
    """,
    Tag.NAME: """
        document-name job-account-id job-account-id-default job-accounting-user-id
        job-accounting-user-id-default job-name job-originating-host-name job-originating-user-name media-name
        notify-subscriber-user-name output-device-assigned printer-dns-sd-name printer-name printer-operator
        requesting-user-name
    """,
    Tag.KEYWORD: """
        compression compression-supported document-creation-attributes-supported document-state-reasons
        feed-orientation-default feed-orientation-supported identify-actions identify-actions-default
        identify-actions-supported ipp-features-supported ipp-versions-supported job-creation-attributes
        job-creation-attributes-supported job-history-attributes-supported job-hold-until job-hold-until-default
        job-hold-until-supported job-password-encryption job-password-encryption-supported job-retain-until
        job-settable-attributes-supported job-sheets job-sheets-default job-sheets-supported
        job-spooling-supported job-state-reasons media media-back-coating media-col-supported media-default
        media-key media-ready media-size-name media-source media-source-supported media-supported media-tooth
        media-type media-type-supported multiple-document-handling multiple-document-handling-default
        multiple-document-handling-supported multiple-operation-time-out-action notify-attributes
        notify-attributes-supported notify-events notify-events-default notify-events-supported
        notify-pull-method notify-pull-method-supported notify-subscribed-event output-bin output-bin-default
        output-bin-supported overrides-supported pdl-override-supported print-color-mode
        print-color-mode-default print-color-mode-supported print-content-optimize
        print-content-optimize-default print-content-optimize-supported print-rendering-intent
        print-rendering-intent-default print-rendering-intent-supported print-scaling print-scaling-default
        print-scaling-supported printer-get-attributes-supported printer-kind
        printer-settable-attributes-supported printer-state-reasons pwg-raster-document-sheet-back
        pwg-raster-document-type-supported requested-attributes sides sides-default sides-supported
        urf-supported uri-authentication-supported uri-security-supported which-jobs which-jobs-supported
        xri-authentication xri-security
    """,
    Tag.URI: """
        document-job-uri document-printer-uri document-uri document-uuid job-more-info job-printer-uri job-uri
        job-uuid notify-job-uri notify-printer-uri notify-recipient-uri notify-subscription-uuid
        printer-charge-info-uri printer-geo-location printer-icons printer-more-info
        printer-more-info-manufacturer printer-static-resource-directory-uri printer-strings-uri
        printer-supply-info-uri printer-uri printer-uri-supported printer-uuid xri-uri
    """,
    Tag.URI_SCHEME: """
        reference-uri-schemes-supported
    """,
    Tag.CHARSET: """
        attributes-charset charset-configured charset-supported document-charset notify-charset
    """,
    Tag.NATURAL_LANGUAGE: """
        attributes-natural-language document-natural-language generated-natural-language-supported
        natural-language-configured notify-natural-language
    """,
    Tag.MIME_MEDIA_TYPE: """
        document-format document-format-default document-format-detected document-format-supported
        document-format-varying
    """,
}

SYNTAX: dict[str, Tag] = {name: tag for tag, names in _NAMES.items() for name in names.split()}
