/* The page's style sheet. */
#ifndef MDL_REPORT_STYLE_H
#define MDL_REPORT_STYLE_H

extern const char mdl_report_style[];

#endif
